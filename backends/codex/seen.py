"""What of a room's thread Codex has not seen, by what it recorded itself. Pure.

Each turn goes to Codex with its id in the room as the id of its message (`clientUserMessageId`), and Codex
records that. So the last turn both know tells where to go on: before it Codex was told everything, after it
nothing. A turn that did not end well is looked at item by item: Codex drops what was half written.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from backends.codex.shapes import dicts
from process_agent.core.backend import AgentMessage, HistoryItem, ToolCall, UserMessage
from process_agent.core.ids import TurnId


@dataclass(frozen=True, slots=True)
class CodexTurn:
    """A turn as Codex recorded it. `said` are the ids its messages were sent with, None for none."""

    id: str
    status: str
    said: tuple[str | None, ...] = ()


@dataclass(frozen=True, slots=True)
class Recorded:
    """The items of such a turn: their ids, and how many are messages of people."""

    items: frozenset[str]
    heard: int


def read_turn(turn: Mapping[str, Any]) -> CodexTurn:
    """From a turn of `thread/turns/list`."""
    messages = [item for item in dicts(turn.get("items")) if item.get("type") == "userMessage"]
    said = tuple(item["clientId"] if isinstance(item.get("clientId"), str) else None for item in messages)
    return CodexTurn(str(turn.get("id")), str(turn.get("status")), said)


def read_items(items: Sequence[Mapping[str, Any]]) -> Recorded:
    """From the items of one turn."""
    heard = sum(item.get("type") == "userMessage" for item in items)
    return Recorded(frozenset(str(item.get("id")) for item in items), heard)


def turns_of(history: Sequence[HistoryItem]) -> set[str]:
    """Ids of the turns in which the history was made."""
    return {item.turn_id for item in history if item.turn_id is not None}


def after_turn(
    history: Sequence[HistoryItem], turns: Collection[str], recorded: Recorded | None
) -> list[HistoryItem]:
    """What comes after these turns, which Codex ran; and with `recorded`, what of them it did not keep."""
    positions = [n for n, item in enumerate(history) if item.turn_id in turns]
    rest = history[positions[-1] + 1 :]
    lost = [] if recorded is None else _lost([history[n] for n in positions], recorded)
    return [*lost, *rest]


def after_items(history: Sequence[HistoryItem], recorded: Recorded) -> list[HistoryItem] | None:
    """What comes after the last item among `recorded`; None when none of them is known."""
    positions = [n for n, item in enumerate(history) if _item_id(item) in recorded.items]
    return list(history[positions[-1] + 1 :]) if positions else None


def from_turn(history: Sequence[HistoryItem], turn: TurnId) -> list[HistoryItem] | None:
    """What comes with and after a turn that Codex never began; None when nothing is left of it."""
    first = next((n for n, item in enumerate(history) if item.turn_id == turn), None)
    return None if first is None else list(history[first:])


def _lost(items: Sequence[HistoryItem], recorded: Recorded) -> list[HistoryItem]:
    """Words that Codex did not keep. (Calls it keeps: those that were cut off are answered "aborted".)"""
    lost: list[HistoryItem] = []
    heard = 0
    for item in items:
        match item:
            case UserMessage(item_id=None):
                heard += 1
                if heard > recorded.heard:
                    lost.append(item)
            case AgentMessage(item_id=str(item_id)) if item_id not in recorded.items:
                lost.append(item)
            case _:
                pass
    return lost


def _item_id(item: HistoryItem) -> str | None:
    return item.ref.item_id if isinstance(item, ToolCall) else item.item_id
