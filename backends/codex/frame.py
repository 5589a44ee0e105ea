"""What is known of a turn before Codex hears of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from process_agent.core.ids import TurnId
from process_agent.core.usage import UNMETERED, Meter, Purpose


def _unknown(window: int | None) -> int | None:
    return None


@dataclass(frozen=True, slots=True)
class Frame:
    """`folder` is the working folder, for relative paths; nobody can be asked unless `asks`; `client_tools`
    are the names the turn's client offers, `toolkits` those of what the agent runs; `compact` when the turn
    is nothing but a compaction; `compacts_at` as in `usage.CompactsAt`; `meter` hears of calls of the model.
    """

    turn_id: TurnId
    folder: str
    asks: bool = True
    client_tools: frozenset[str] = frozenset()
    toolkits: frozenset[str] = frozenset()
    compact: bool = False
    compacts_at: Callable[[int | None], int | None] = field(default=_unknown)
    meter: Meter = UNMETERED
    purpose: Purpose = "turn"
