from __future__ import annotations

from typing import Any

import pytest

from backends.codex.frame import Frame
from backends.codex.images import MAX_IMAGE
from backends.codex.mapping import TurnMapper
from process_agent.core.content import ErrorInfo, GeneratedImage
from process_agent.core.events import (
    BackendEvent,
    EndReason,
    ImageCompleted,
    ImageFailed,
    ImageStarted,
    TurnEnded,
    Working,
)
from process_agent.core.ids import ItemId, TurnId
from tests.unit.codex.replay import PNG

PIXEL = PNG.partition(",")[2]


def feed(turn: TurnMapper, method: str, **item: Any) -> list[BackendEvent]:
    events = turn.map(method, {"item": {"type": "imageGeneration", "id": "i", **item}}, 0)
    return [event for event in events if not isinstance(event, Working)]


def mapper() -> TurnMapper:
    return TurnMapper(Frame(TurnId("T"), "/w"))


def test_an_image_is_started_and_completed_with_its_size() -> None:
    turn = mapper()
    assert feed(turn, "item/started", status="in_progress", result="") == [ImageStarted(ItemId("i"))]
    done = feed(turn, "item/completed", status="completed", result=PIXEL, revisedPrompt="a cat")
    assert done == [
        ImageStarted(ItemId("i"), {"prompt": "a cat"}),
        ImageCompleted(ItemId("i"), (GeneratedImage(PNG, "image/png", 1, 1),), "a cat"),
    ]


@pytest.mark.parametrize(
    ("item", "error"),
    [
        ({"result": ""}, ErrorInfo("No image was made.", "image_failed")),
        ({"result": None, "failure": "odd"}, ErrorInfo("No image was made.", "image_failed")),
        (
            {"result": "", "failure": {"type": "usageLimitExceeded", "limitId": "x"}},
            ErrorInfo(
                "No image was made: the account's limit for images is used up.", "usage_limit_exceeded"
            ),
        ),
        (
            {"result": "bm8gaW1hZ2U="},
            ErrorInfo("What was made is no PNG, JPEG, GIF or WebP image.", "image_failed"),
        ),
        (
            {"result": PIXEL + "A" * MAX_IMAGE},
            ErrorInfo(
                f"The image is too large to be shown: {len(PIXEL) + MAX_IMAGE} characters of base64, "
                f"more than {MAX_IMAGE}.",
                "image_too_large",
            ),
        ),
    ],
)
def test_why_there_is_no_image(item: dict[str, Any], error: ErrorInfo) -> None:
    assert feed(mapper(), "item/completed", **item) == [
        ImageStarted(ItemId("i")),
        ImageFailed(ItemId("i"), error),
    ]


@pytest.mark.parametrize("reason", list(EndReason))
def test_an_unfinished_image_fails_with_the_turn(reason: EndReason) -> None:
    turn = mapper()
    feed(turn, "item/started", result="")
    failed, ended = turn.finish(reason)
    assert isinstance(failed, ImageFailed)
    assert ended == TurnEnded(reason)


def test_an_image_that_codex_makes_no_item_of_is_shown_once() -> None:
    turn = mapper()
    raw = {"type": "image_generation_call", "id": "i", "result": PIXEL, "revised_prompt": "a cat"}
    shown = turn.map("rawResponseItem/completed", {"item": raw}, 0)
    assert [type(event) for event in shown] == [ImageStarted, ImageCompleted]
    assert turn.map("rawResponseItem/completed", {"item": raw}, 0) == []
    assert feed(turn, "item/completed", result=PIXEL) == []

    turn = mapper()
    feed(turn, "item/completed", result=PIXEL)
    assert turn.map("rawResponseItem/completed", {"item": raw}, 0) == []


def test_an_image_of_a_newer_codex_that_is_only_a_file_says_where_it_is() -> None:
    turn = mapper()
    feed(turn, "item/started", status="in_progress")
    (failed,) = feed(turn, "item/completed", status="completed", savedPath="/home/ada/.codex/images/i.png")
    assert isinstance(failed, ImageFailed)
    assert failed.error == ErrorInfo(
        "The image is in a file where the agent runs: /home/ada/.codex/images/i.png", "image_in_file"
    )
