"""What a view of a thread tells its reader."""

from __future__ import annotations

from dataclasses import dataclass

from process_agent.core.content import ErrorInfo
from process_agent.errors import ProcessError
from process_agent.viewer.items import Turn
from process_agent.viewer.received import Received
from process_agent.viewer.transcript import Change


@dataclass(frozen=True, slots=True)
class Happened:
    """A message about the thread. `change` is None when it has no effect on the transcript: it is no event,
    or of an unknown type, or was seen before, which `repeated` tells.
    """

    received: Received
    change: Change | None = None
    repeated: bool = False


@dataclass(frozen=True, slots=True)
class Loaded:
    """The replay is complete; what follows is live."""


@dataclass(frozen=True, slots=True)
class Offline:
    """The agent cannot be reached; `reason` is a sentence for people. The view keeps trying."""

    reason: str


@dataclass(frozen=True, slots=True)
class Online:
    """The agent is back. Unfinished turns were forgotten and come again."""


@dataclass(frozen=True, slots=True)
class Failed:
    """The thread cannot be viewed; nothing follows."""

    error: ProcessError


@dataclass(frozen=True, slots=True)
class Older:
    """The turns asked for that happened before those known, oldest first; `more` says that there are others
    before them. With an `error` there may be, and they cannot be had.
    """

    turns: tuple[Turn, ...]
    more: bool
    error: ErrorInfo | None = None


type Update = Happened | Loaded | Older | Offline | Online | Failed
