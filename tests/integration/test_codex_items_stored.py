"""No item of Codex vanishes on its way into the room: what was shown is stored and comes back on a replay."""

from __future__ import annotations

import pytest

from process_agent.core import events as e
from process_agent.core.ids import ItemId
from tests.fakes.thread_house import House, replayed
from tests.unit.codex.replay import NAMES, replay


def item_of(body: e.EventBody) -> ItemId | None:
    """The item an event is about, if it is about one."""
    ref = getattr(body, "ref", None)
    return ref.item_id if isinstance(ref, e.ToolRef) else getattr(body, "item_id", None)


@pytest.mark.parametrize("name", NAMES)
async def test_items_of_a_recorded_conversation_come_back_from_the_room(name: str) -> None:
    house = House()
    store, log, speaker = await house.thread()
    shown: dict[tuple[str | None, ItemId], str] = {}
    for turn in replay(name):
        for event in speaker.begin(turn=turn.turn_id):
            log.append(event)
        for body in turn.events:
            event = speaker.say(body, turn.turn_id)
            log.append(event)
            item = item_of(body)
            if item is not None and not is_blank_so_far(body):
                shown[(turn.turn_id, item)] = type(body).__name__
    await log.flush()
    again = await house.agent().open(speaker.thread_id)
    back = {(event.turn_id, item_of(event.body)) for event in await replayed(again)}
    assert {key: kind for key, kind in shown.items() if key not in back} == {}
    await store.close()


def is_blank_so_far(body: e.EventBody) -> bool:
    """A start or an end of text that may hold no word; its deltas are what has to come back."""
    return isinstance(body, e.TextStarted | e.TextEnded | e.ReasoningStarted | e.ReasoningEnded)
