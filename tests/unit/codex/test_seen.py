"""What of a room's thread Codex has not seen."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from backends.codex.seen import (
    CodexTurn,
    Recorded,
    after_items,
    after_turn,
    from_turn,
    read_items,
    read_turn,
    turns_of,
)
from process_agent.core.backend import AgentMessage, HistoryItem, ToolCall, UserMessage
from process_agent.core.content import TextPart
from process_agent.core.events import ToolRef
from process_agent.core.ids import ItemId, TurnId


def asked(text: str, turn: str, item: str | None = None) -> UserMessage:
    return UserMessage((TextPart(text),), "ana", TurnId(turn), None if item is None else ItemId(item))


def said(text: str, turn: str, item: str) -> AgentMessage:
    return AgentMessage(text, None, TurnId(turn), ItemId(item))


def ran(turn: str, item: str) -> ToolCall:
    return ToolCall(ToolRef(ItemId(item), "codex", "shell"), {}, turn_id=TurnId(turn))


HISTORY: Sequence[HistoryItem] = (
    asked("one", "t1"),
    said("first", "t1", "m1"),
    asked("two", "t2"),
    ran("t2", "c1"),
    said("half", "t2", "m2"),
    asked("and", "t2"),
    asked("three", "t3"),
    said("third", "t3", "m3"),
)


def test_what_comes_after_a_turn_that_ended_well() -> None:
    assert after_turn(HISTORY, {"t2"}, None) == list(HISTORY[6:])
    assert after_turn(HISTORY, {"t3"}, None) == []


def test_words_that_a_cut_turn_did_not_keep() -> None:
    kept = Recorded(frozenset({"u1", "c1"}), 1)
    assert after_turn(HISTORY, {"t2"}, kept) == [HISTORY[4], HISTORY[5], *HISTORY[6:]]
    assert after_turn(HISTORY, {"t2"}, Recorded(frozenset({"m2"}), 2)) == list(HISTORY[6:])


def test_a_turn_that_codex_never_began() -> None:
    assert from_turn(HISTORY, TurnId("t2")) == list(HISTORY[2:])
    assert from_turn(HISTORY, TurnId("t9")) is None


def test_a_compaction_is_known_by_its_item() -> None:
    history = [asked("one", "t1"), asked("the summary", "t2", "x1"), asked("new", "t3")]
    assert after_items(history, Recorded(frozenset({"x1"}), 0)) == [history[2]]
    assert after_items(history, Recorded(frozenset({"x2"}), 0)) is None


def test_what_codex_says_of_its_turns() -> None:
    message = {"type": "userMessage", "id": "u", "clientId": "t1"}
    turn = {"id": "c", "status": "completed", "items": [message, {"type": "agentMessage", "id": "m"}]}
    assert read_turn(turn) == CodexTurn("c", "completed", ("t1",))
    assert read_turn({"id": "c", "items": [{"type": "userMessage", "clientId": None}, 7]}).said == (None,)
    assert read_items([message, {"type": "agentMessage", "id": "m"}]) == Recorded(frozenset({"u", "m"}), 1)
    assert turns_of(HISTORY) == {"t1", "t2", "t3"}


def item_of(number: int, turn: str, kind: str) -> HistoryItem:
    match kind:
        case "asked":
            return asked(str(number), turn)
        case "said":
            return said(str(number), turn, f"i{number}")
        case _:
            return ran(turn, f"i{number}")


made = st.lists(st.tuples(st.integers(0, 5), st.sampled_from(("asked", "said", "ran"))), max_size=20)


@given(made, st.integers(0, 5), st.booleans())
def test_nothing_is_told_twice_and_nothing_left_out(
    made: list[tuple[int, str]], last: int, complete: bool
) -> None:
    """Turns run one after the other; whatever of them Codex recorded is not told, all else is."""
    in_order = sorted(made, key=lambda each: each[0])
    history = [item_of(number, f"t{turn}", kind) for number, (turn, kind) in enumerate(in_order)]
    theirs = [item for item in history if item.turn_id == f"t{last}"]
    if not theirs:
        return
    recorded = Recorded(frozenset(), sum(isinstance(item, UserMessage) for item in theirs))
    lost = [] if complete else [item for item in theirs if isinstance(item, AgentMessage)]
    later = history[history.index(theirs[-1]) + 1 :]
    assert after_turn(history, {f"t{last}"}, None if complete else recorded) == [*lost, *later]
