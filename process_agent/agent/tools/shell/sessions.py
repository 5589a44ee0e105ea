"""Commands that go on: started by one call, written to and read by others, also in later turns."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from process_agent.agent.tools.shell.running import RunningCommand
from process_agent.core.ids import ThreadId
from process_agent.errors import ToolFailedError

MAX_SESSIONS: Final = 8
"""Sessions of one thread that run at once."""


@dataclass(frozen=True, slots=True)
class Session:
    """A command that goes on, under the number by which the model knows it."""

    number: int
    script: str
    running: RunningCommand
    outside: bool = False
    """Whether it has all rights of the user."""


@dataclass(slots=True)
class Sessions:
    """Those of all threads of an agent. A thread sees its own."""

    _found: dict[ThreadId, dict[int, Session]] = field(default_factory=dict)
    _count: int = 0

    def check(self, thread_id: ThreadId) -> None:
        """Raise `ToolFailedError` when the thread can have no more of them."""
        if sum(not session.running.over for session in self.of(thread_id)) >= MAX_SESSIONS:
            raise ToolFailedError(f"{MAX_SESSIONS} sessions run already; end one of them with kill_session.")

    def add(self, thread_id: ThreadId, script: str, running: RunningCommand, *, outside: bool) -> Session:
        """Remember a command that goes on."""
        self._count += 1
        session = Session(self._count, script, running, outside)
        for old in [each for each in self.of(thread_id) if each.running.over][:-MAX_SESSIONS]:
            self.forget(thread_id, old.number)  # nobody read the end of it
        self._found.setdefault(thread_id, {})[session.number] = session
        return session

    def get(self, thread_id: ThreadId, number: int) -> Session:
        """The session of this number. Raises `ToolFailedError`."""
        found = self._found.get(thread_id, {}).get(number)
        if found is None:
            raise ToolFailedError(f"There is no session {number} here; it may have ended.")
        return found

    def forget(self, thread_id: ThreadId, number: int) -> None:
        """It has ended, and was read to its end."""
        sessions = self._found.get(thread_id, {})
        sessions.pop(number, None)
        if not sessions:
            self._found.pop(thread_id, None)

    def of(self, thread_id: ThreadId) -> Iterator[Session]:
        """Those of a thread, oldest first."""
        yield from tuple(self._found.get(thread_id, {}).values())

    def end(self, thread_id: ThreadId) -> None:
        """End all of a thread."""
        for session in self._found.pop(thread_id, {}).values():
            session.running.end()
