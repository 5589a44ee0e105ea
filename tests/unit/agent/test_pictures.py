"""Images that tools give back: kept in the room once, and told to the next model as images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

import pytest

from backends.llm.conversation import Conversation
from process_agent.agent.attachments import Attachments
from process_agent.agent.pictures import in_room
from process_agent.core import events as e
from process_agent.core.content import LinkResult, TextResult
from process_agent.core.ids import ItemId, MessageId, ThreadId, TurnId
from process_agent.core.images import GIVEN_BACK
from process_agent.core.room_ports import RoomImage
from process_agent.errors import RoomRequestError
from process_agent.threads.history import History
from process_agent.wire.llm.request import CallOutput, Image, Message, Text
from tests.contract.test_images import BYTES, PNG

THREAD = ThreadId("dataset://t")
TOOL = e.ToolRef(ItemId("i"), "camera", "look")


@dataclass
class Images:
    """A room's table of images."""

    kept: list[RoomImage] = field(default_factory=list)
    refuses: bool = False

    async def keep(self, image: RoomImage, thread_id: ThreadId) -> str:
        if self.refuses:
            raise RoomRequestError("no")
        self.kept.append(image)
        return f"dataset://images?id={len(self.kept)}"

    async def read(self, address: str, limit: int) -> RoomImage:
        return self.kept[int(address.rpartition("=")[2]) - 1]

    async def remove(self, addresses: Sequence[str]) -> None:
        raise AssertionError("nothing is removed here")


async def test_a_result_that_is_an_image_is_kept_and_an_item_of_its_own() -> None:
    images = Images()
    ended, shown = await in_room(images, THREAD, e.ToolEnded(TOOL, LinkResult("dot.png", PNG)))
    assert ended == e.ToolEnded(TOOL, LinkResult("dot.png", "dataset://images?id=1"))
    assert isinstance(shown, e.ImageCompleted)
    assert (shown.item_id, shown.images[0].uri) == (f"i{GIVEN_BACK}", "dataset://images?id=1")
    assert images.kept == [RoomImage(BYTES, "image/png")]


@pytest.mark.parametrize("images", [None, Images(refuses=True)])
async def test_where_no_room_takes_it_the_result_is_as_it_was(images: Images | None) -> None:
    event = e.ToolEnded(TOOL, LinkResult("dot.png", PNG))
    assert await in_room(images, THREAD, event) == (event,)


@pytest.mark.parametrize(
    "result",
    [TextResult(PNG), LinkResult("x", "dataset://images?id=9"), LinkResult("x", "data:image/png,no")],
)
async def test_other_results_are_left_alone(result: TextResult | LinkResult) -> None:
    images, event = Images(), e.ToolEnded(TOOL, result)
    assert await in_room(images, THREAD, event) == (event,)
    assert images.kept == []


async def test_the_next_model_looks_at_it_after_a_restart() -> None:
    images, history = Images(), History()
    told = await in_room(images, THREAD, e.ToolEnded(TOOL, LinkResult("dot.png", PNG)))
    for number, body in enumerate((e.ToolStarted(TOOL, {}), *told)):
        at = datetime(2026, 1, 1, tzinfo=UTC)
        history.add(e.ThreadEvent(MessageId(f"m{number}"), THREAD, TurnId("u"), at, body))
    recalled = await Attachments(None, images=images).recalled(THREAD, history.items())
    _, output, image = Conversation(recalled).items
    assert isinstance(output, CallOutput)
    assert output.parts == (Text("dot.png: dataset://images?id=1"),)
    assert image == Message("user", (Text("[An image was given back by look: dot.png]"), Image(PNG)))
