"""Threads as a channel program names them, and as the agent keeps them. Pure but for its memory.

Published channels make ids of their own, like `.threads/bot/4f….thread`, which no dataset can have.
A program's id is taken as a path in the agent's thread folder, and the program hears of the thread by its id.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime

from process_agent.channels.paths import SCHEME, thread_id_of
from process_agent.core.content import Json
from process_agent.errors import UsageError

MAX_NAMES = 10_000
"""Ids that are remembered; for the oldest beyond them the program hears the agent's."""


class ThreadNames:
    """The ids of one program. `directory` is the agent's thread folder."""

    def __init__(self, directory: str, clock: Callable[[], datetime]) -> None:
        self._directory = directory
        self._clock = clock
        self._theirs: dict[str, str] = {}

    def ours(self, message: dict[str, Json]) -> dict[str, Json]:
        """A message from the program, with the agent's id of its thread."""
        theirs = message.get("thread_id")
        if not isinstance(theirs, str):
            return message
        ours = self._ours(theirs)
        if ours == theirs:
            return message
        self._theirs.pop(ours, None)
        self._theirs[ours] = theirs
        if len(self._theirs) > MAX_NAMES:
            del self._theirs[next(iter(self._theirs))]
        return message | {"thread_id": ours}

    def theirs(self, message: Mapping[str, Json]) -> Mapping[str, Json]:
        """A message for the program, with its own id of the thread."""
        ours = message.get("thread_id")
        theirs = self._theirs.get(ours) if isinstance(ours, str) else None
        return message if theirs is None else {**message, "thread_id": theirs}

    def _ours(self, theirs: str) -> str:
        path = theirs.strip().removesuffix(".thread")
        while path.startswith(SCHEME + SCHEME):  # published channels double it
            path = path.removeprefix(SCHEME)
        try:
            return thread_id_of(path, self._directory, self._clock())
        except UsageError:
            return theirs  # the thread store says that there is no such thread
