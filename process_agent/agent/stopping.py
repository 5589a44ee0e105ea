"""Many stops at once: all of them are acknowledged before the first is carried out.

To carry one out takes longer than to say that it was heard, and so does the word of it that goes to the
store; and a backend takes all processors to end many turns. Where many stops come together, what follows an
acknowledgement waits until the crowd has passed, or until anything else happens in its thread: within a
thread the order stays as it was decided.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final

from process_agent.agent.turn_work import TurnWork
from process_agent.core.commands import Command, Emit
from process_agent.core.events import InterruptAccepted, ReasoningDelta, TextDelta
from process_agent.core.ids import ThreadId, TurnId
from process_agent.io.lull import ROUNDS_TO_TELL, Lull
from process_agent.io.tasks import Tasks, rounds

AT_A_TIME: Final = 32
"""Stops that are carried out before others get to the event loop."""


class Stopping:
    """Keeps back what follows acknowledgements; `carry_out` gets it when its time has come. One event loop
    only.
    """

    def __init__(self, tasks: Tasks, carry_out: Callable[[list[Command]], None]) -> None:
        self._tasks = tasks
        self._carry_out = carry_out
        self._lull = Lull()
        self._kept: dict[ThreadId, list[Command]] = {}
        self._waiting = False

    def take(self, commands: list[Command]) -> None:
        """Carry out what came of a request: all of it, or in a crowd of stops the acknowledgement alone."""
        first = commands[0] if commands else None
        stop = isinstance(first, Emit) and isinstance(first.event.body, InterruptAccepted)
        if not isinstance(first, Emit) or not stop or not self._lull.come() or not first.store:
            self._carry_out(commands)
            return
        self._carry_out([replace(first, store=False)])
        kept = self._kept.setdefault(first.event.thread_id, [])
        kept += [Emit(first.event, {}, store=True), *commands[1:]]
        if not self._waiting:
            self._wait()

    def before(self, command: Command) -> Sequence[Command]:
        """What was kept back and has to be done before this is."""
        if not self._kept or (isinstance(command, Emit) and _is_more_text(command)):
            return ()
        return self._kept.pop(_thread_of(command), ())

    async def interrupt(self, work: TurnWork, turn_id: TurnId) -> None:
        """Stop a turn of a backend when whoever asked for it just now has been told that it is heard."""
        await rounds(ROUNDS_TO_TELL)
        await self._lull.passed()
        await work.interrupt(turn_id)

    def _wait(self) -> None:
        self._waiting = True
        self._tasks.start(self._go_on(), "stop turns")

    async def _go_on(self) -> None:
        await self._lull.passed()
        while self._kept:
            for thread_id in list(self._kept)[:AT_A_TIME]:
                try:
                    self._carry_out(self._kept.pop(thread_id, []))
                except Exception:  # those of other threads are stopped all the same
                    self._wait()
                    raise
            await asyncio.sleep(0)
        self._waiting = False


def _is_more_text(command: Emit) -> bool:
    """Text has no row of its own until its item ends: it may come before or after the word of a stop."""
    return isinstance(command.event.body, TextDelta | ReasoningDelta)


def _thread_of(command: Command) -> ThreadId:
    """The thread that a command is about; the empty name where it is about none."""
    for holder in (command, *(getattr(command, part, None) for part in ("event", "timer", "request"))):
        if isinstance(found := getattr(holder, "thread_id", None), str):
            return ThreadId(found)
    return ThreadId("")
