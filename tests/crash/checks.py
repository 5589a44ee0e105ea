"""What has to hold of a room's threads after an agent was killed, and another one goes on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from process_agent.core import events as e
from process_agent.core.backend import AgentMessage, HistoryItem, UserMessage
from process_agent.core.content import plain_text
from process_agent.core.ids import ThreadId, TurnId
from process_agent.core.replies import ThreadLoaded
from tests.crash.agent import CrashAgent, Said
from tests.crash.room import CrashRoom

KEPT_AFTER = 1.0
"""Seconds after which streamed text has to be in the room."""

type Texts = dict[tuple[str, str], str]


@dataclass(frozen=True)
class Before:
    """What was told until the kill."""

    at: float
    shown: Sequence[e.ThreadEvent]
    said: Sequence[Said]

    def text(self, until: float) -> Texts:
        """What the model had said by then."""
        texts: Texts = {}
        for piece in self.said:
            if piece.at <= until:
                key = piece.turn, piece.item
                texts[key] = texts.get(key, "") + piece.text
        return texts


type Revived = dict[ThreadId, Sequence[e.ThreadEvent]]
"""What a viewer is shown of each thread."""


async def go_on(agent: CrashAgent, room: CrashRoom, *, doubled: bool = False) -> Revived:
    """Open each thread and go on with it, looking at the rows and at what the model is told. With `doubled`
    the room carried calls out twice, and has rows twice for it.
    """
    revived: Revived = {}
    for thread in [
        ThreadId(row["path"]) for ref in room.tables if ref.name == "index" for row in room.rows(ref)
    ]:
        rows_are_sound(room, thread, doubled=doubled)
        revived[thread] = await _loaded(agent, thread)
        await the_next_turn_works(agent, thread, revived[thread])
        rows_are_sound(room, thread, doubled=doubled)
    return revived


def compare(revived: Revived, before: Before) -> None:
    """Hold what is shown after a kill against what was told before it."""
    told = {event.thread_id for event in before.shown if not isinstance(event.body, e.TurnRejected)}
    assert told <= set(revived), "a thread that was told of is gone"
    for thread, seen in revived.items():
        turns_ended_once(seen, [x for x in before.shown if x.thread_id == thread])
        text_is_there(seen, before)


def rows_are_sound(room: CrashRoom, thread: ThreadId, *, doubled: bool = False) -> None:
    """Numbers are unique and in the order of the table; each turn ends once, nothing of it comes later."""
    rows = room.columns(thread, ["sequence", "turn_id", "type"])
    if doubled:
        rows = list({row["sequence"]: row for row in rows}.values())
    numbers = [row["sequence"] for row in rows]
    assert len(set(numbers)) == len(numbers), "doubled numbers"
    assert numbers == sorted(numbers), "rows out of order"
    kinds = [(row["turn_id"], row["type"].removeprefix("meshagent.agent.")) for row in rows]
    ends = Counter(turn for turn, kind in kinds if kind == "turn.ended")
    turns = {turn for turn, kind in kinds if turn and kind in ("turn.start", "turn.start.accepted")}
    assert all(count == 1 for count in ends.values()), "a turn ended twice"
    assert turns <= set(ends), f"turns without an end: {turns - set(ends)}"
    for turn in turns:
        own = [kind for of, kind in kinds if of == turn]
        late = own[own.index("turn.ended") + 1 :]
        assert not [kind for kind in late if kind != "turn.interrupt.accepted"], f"rows after the end: {late}"
        assert own.count("turn.start") == 1
        assert own.count("turn.started") <= 1


def turns_ended_once(seen: Sequence[e.ThreadEvent], told: Sequence[e.ThreadEvent]) -> None:
    """Turns that were accepted have an end; an end that was told is the one that is there."""
    ends = [(x.turn_id, x.body.reason) for x in seen if isinstance(x.body, e.TurnEnded)]
    assert len({turn for turn, _ in ends}) == len(ends)
    there = dict(ends)
    for event in told:
        match event.body:
            case e.TurnAccepted():
                assert event.turn_id in there, f"{event.turn_id} was accepted and is gone"
            case e.TurnEnded(reason, error) if error is None or error.code != "not_stored":
                assert there[event.turn_id] == reason
            case _:
                pass
    started = [x.turn_id for x in told if isinstance(x.body, e.TurnStarted)]
    again = [x.turn_id for x in seen if isinstance(x.body, e.TurnStarted)]
    assert [turn for turn in started if turn in again] == again[: len(started)], "turns in another order"


def text_is_there(seen: Sequence[e.ThreadEvent], before: Before) -> None:
    """What was said a second before the kill is there, and nothing that was not said."""
    texts: Texts = {}
    for event in seen:
        if isinstance(event.body, e.TextDelta | e.ReasoningDelta):
            key = str(event.turn_id), str(event.body.item_id)
            assert key not in texts, "an item is told in pieces"
            texts[key] = event.body.text
    ends = {x.turn_id: x.body.reason for x in seen if isinstance(x.body, e.TurnEnded)}
    kept, everything = before.text(before.at - KEPT_AFTER), before.text(before.at)
    for (turn, item), text in everything.items():
        if TurnId(turn) not in ends:
            continue
        found = texts.pop((turn, item), "")
        least = kept.get((turn, item), "") if ends[TurnId(turn)] is e.EndReason.LOST else text
        assert text.startswith(found), f"{found!r} was not said"
        assert found.startswith(least), f"of {text!r} only {found!r} is left"
    assert not texts, f"nobody said {texts}"


async def the_next_turn_works(agent: CrashAgent, thread: ThreadId, seen: Sequence[e.ThreadEvent]) -> None:
    """It runs, its model knows what was said, and its end is stored when it is told."""
    source = agent.turn(thread, f"and then, {thread}?")
    ended = await agent.ended(source)
    assert isinstance(ended.body, e.TurnEnded)
    assert ended.body.error is None or ended.body.reason is e.EndReason.FAILED
    opened = [history for of, history in agent.heard.opened if of == thread]
    assert len(opened) == 1
    assert _said(opened[0]) == _to_model(seen)
    assert agent.heard.ran[-1] == (thread, ended.turn_id, f"and then, {thread}?")


def _said(history: Sequence[HistoryItem]) -> list[str]:
    return [
        plain_text(item.content) if isinstance(item, UserMessage) else item.text
        for item in history
        if isinstance(item, UserMessage | AgentMessage)
    ]


def _to_model(seen: Sequence[e.ThreadEvent]) -> list[str]:
    """What a model has to know: requests that started, steers that were taken, and texts."""
    said: list[str] = []
    for event in seen:
        match event.body:
            case e.TurnStarted(_, content) | e.Steered(_, content):
                said.append(plain_text(content))
            case e.TextDelta(_, text) if text.strip():
                said.append(text)
            case _:
                pass
    return said


async def _loaded(agent: CrashAgent, thread: ThreadId) -> Sequence[e.ThreadEvent]:
    """What a viewer that opens the thread is shown."""
    heard, already = agent.heard, len(agent.heard.shown)
    loads = sum(isinstance(reply, ThreadLoaded) for reply in heard.replies)
    agent.open(thread)

    def loaded() -> bool | None:
        return True if sum(isinstance(reply, ThreadLoaded) for reply in heard.replies) > loads else None

    await agent.screen.until(loaded)
    return [x for x in heard.shown[already:] if not isinstance(x.body, e.Status | e.ModelChanged)]
