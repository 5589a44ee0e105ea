"""The port of backends whose own records can be all that is kept of threads (`--thread-storage codex`)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol, runtime_checkable

from process_agent.core.backend import KeptState
from process_agent.core.events import EventBody
from process_agent.core.ids import MessageId, TurnId


@dataclass(frozen=True, slots=True)
class RecordedThread:
    """A record as the backend lists it; `name` is None where it has none."""

    name: str | None
    created_at: datetime
    modified_at: datetime


@dataclass(frozen=True, slots=True)
class RecordedTurn:
    """A turn of a record: `bodies` from its request to its end, `source` the id of that request.

    `turn_id` is the id it had in the room, where the backend recorded that.
    """

    turn_id: TurnId
    source: MessageId
    at: datetime
    model: str | None
    bodies: tuple[EventBody, ...]


class Records(Protocol):
    """What a backend recorded, by the states that it kept with threads (`ThreadState`). Only records that
    this program made are listed, read, named or archived. All calls raise `ProcessError`.
    """

    def key(self, state: KeptState) -> str | None:
        """The name of the record, None for a state that is none of the backend's."""
        ...

    async def listed(self) -> Mapping[str, RecordedThread]:
        """The records of the working folder that are not archived, by their keys."""
        ...

    async def turns(self, state: KeptState) -> Sequence[RecordedTurn]:
        """The turns of a record, oldest first."""
        ...

    async def rename(self, state: KeptState, name: str) -> None:
        """Name a record."""
        ...

    async def archive(self, state: KeptState) -> None:
        """Put a record among the archived ones. One that is gone is fine."""
        ...


@runtime_checkable
class Recording(Protocol):
    """A backend with records."""

    @property
    def records(self) -> Records:
        """What it recorded, once it is started."""
        ...
