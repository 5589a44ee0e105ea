"""What people and a model say in a conversation, drawn from a seed."""

from __future__ import annotations

import random
from dataclasses import dataclass

from process_agent.core import events as e
from process_agent.core.content import LogLine, TextResult
from process_agent.core.ids import ItemId

ALPHABETS = ("ha 7\n", "ab", "the quick brown fox ", "äöü💡\u0000\ud800x ", "7")
"""Small ones repeat themselves: what the published folding rule trips over."""

MAX_TURNS = 4


@dataclass(frozen=True)
class Step:
    """After `wait` seconds the model says something."""

    wait: float
    event: e.BackendEvent


@dataclass(frozen=True)
class Ask:
    """After `wait` seconds somebody does something: `new` a thread, `turn`, `interrupt`, `steer`, `open`."""

    wait: float
    what: str
    text: str = ""
    thread: int = 0


_ITEM = ItemId("short")
SHORT = [
    Step(0.0, e.TextStarted(_ITEM)),
    Step(0.0, e.TextDelta(_ITEM, "as I said")),
    Step(0.0, e.TextEnded(_ITEM)),
    Step(0.0, e.TurnEnded(e.EndReason.COMPLETED)),
]
"""The shortest answer."""


def conversation(chance: random.Random) -> list[Ask]:
    """What people do, in order."""
    asks = [Ask(0.0, "new", "begin 0")]
    for number in range(1, chance.randint(2, MAX_TURNS)):
        wait = chance.choice((0.0, 0.01, 0.3, 2.5))
        kind = chance.choices(("turn", "new", "interrupt", "steer", "model"), (6, 1, 2, 1, 1))[0]
        asks.append(Ask(wait, kind, f"turn {number}", chance.randint(0, 1)))
    return asks


def answer(chance: random.Random) -> list[Step]:
    """What the model says in one turn, ending it."""
    steps: list[Step] = []
    for number in range(chance.randint(1, 3)):
        kind = chance.choice(("text", "text", "reasoning", "tool"))
        steps += _item(chance, ItemId(f"item-{number}"), kind)
    reason = chance.choices((e.EndReason.COMPLETED, e.EndReason.FAILED), (9, 1))[0]
    return [*steps, Step(_pause(chance), e.TurnEnded(reason))]


def _item(chance: random.Random, item: ItemId, kind: str) -> list[Step]:
    if kind == "tool":
        ref = e.ToolRef(item, "codex", "shell")
        lines = [
            Step(_pause(chance), e.ToolLog(ref, (LogLine(_piece(chance)),)))
            for _ in range(chance.randint(0, 3))
        ]
        ended = Step(_pause(chance), e.ToolEnded(ref, TextResult("done")))
        return [Step(_pause(chance), e.ToolStarted(ref, {"command": "ls"})), *lines, ended]
    pieces = [_piece(chance) for _ in range(chance.randint(1, 8))]
    if kind == "reasoning":
        said: list[e.BackendEvent] = [e.ReasoningDelta(item, piece) for piece in pieces]
        return _paced(chance, [e.ReasoningStarted(item), *said, e.ReasoningEnded(item)])
    said = [e.TextDelta(item, piece, "final_answer") for piece in pieces]
    ends: list[e.BackendEvent] = [e.TextEnded(item, "final_answer")] if chance.random() < 0.9 else []
    return _paced(chance, [e.TextStarted(item, "final_answer"), *said, *ends])


def _paced(chance: random.Random, said: list[e.BackendEvent]) -> list[Step]:
    return [Step(_pause(chance), event) for event in said]


def _piece(chance: random.Random) -> str:
    alphabet = chance.choice(ALPHABETS)
    return "".join(chance.choice(alphabet) for _ in range(chance.randint(1, 12)))


def _pause(chance: random.Random) -> float:
    return chance.choice((0.0, 0.0, 0.02, 0.1, 0.4, 1.3))
