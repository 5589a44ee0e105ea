"""What a hosted service remembers of its deploys."""

from __future__ import annotations

import base64
import random
import zlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from process_agent.services.deployed import LAST, PREVIOUS, bare, remembered, remembering

DOCUMENT: dict[str, Any] = {
    "metadata": {"name": "bot", "annotations": {"mine": "x"}},
    "container": {"image": "a"},
}


@given(st.text(max_size=200), st.none() | st.text(max_size=20))
def test_what_is_remembered_comes_back_and_leaves_no_trace(text: str, before: str | None) -> None:
    last = {**DOCUMENT, "container": {"command": text}}
    previous = None if before is None else {**DOCUMENT, "container": {"command": before}}
    whole_document, whole = remembering(DOCUMENT, last, previous)
    assert whole
    assert remembered(whole_document, LAST) == last
    assert remembered(whole_document, PREVIOUS) == previous
    assert bare({**whole_document, "id": "s1"}) == DOCUMENT


def test_what_is_too_long_is_left_out_and_said_to_be() -> None:
    noise = base64.b64encode(random.Random(1).randbytes(100_000)).decode()
    whole_document, whole = remembering(DOCUMENT, {"text": noise}, DOCUMENT)
    assert not whole
    assert remembered(whole_document, LAST) is None
    assert remembered(whole_document, PREVIOUS) == DOCUMENT


@pytest.mark.parametrize(
    "text",
    ["", "nonsense", base64.b64encode(b"x").decode(), base64.b64encode(zlib.compress(b"[1]")).decode(),
     base64.b64encode(zlib.compress(b" " * 50_000_000)).decode()],
)  # fmt: skip
def test_damaged_memories_are_none(text: str) -> None:
    assert remembered({"metadata": {"annotations": {LAST: text}}}, LAST) is None
    assert remembered({"metadata": {}}, LAST) is None
