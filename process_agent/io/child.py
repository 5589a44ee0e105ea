"""Child processes with an owner: started with three pipes, drained, and gone when the owner wants it.

On Linux the child runs below a guard (`guard.py`), which takes the whole tree along, whatever happens to us.
Elsewhere the child is ended by the ladder only: close its input, terminate, kill.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import logging
import os
import signal
import sys
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from process_agent.errors import BackendError
from process_agent.io import guard
from process_agent.io.inflow import LARGEST_PIECE, Inflow, Take
from process_agent.io.orphans import end_orphans
from process_agent.io.tasks import Tasks

logger = logging.getLogger(__name__)

STDERR_LINES: Final = 60
"""Lines of standard error that are kept for error texts."""

STDERR_LINE_CHARS: Final = 2_000
_READ: Final = 256 * 1024
_RUNG: Final = 1.5
"""Seconds for each step of the ladder; a guard needs up to `guard.GRACE` + `guard.REAP`."""


@dataclass(frozen=True, slots=True)
class Command:
    """What to run. `environment` is all the child gets."""

    arguments: Sequence[str]
    environment: Mapping[str, str]
    folder: Path
    guarded: bool = sys.platform == "linux"


class Child:
    """One running child process. Made by `spawn`; whoever made it calls `stop`."""

    def __init__(self, process: asyncio.subprocess.Process, output: Inflow, command: Command) -> None:
        if process.stdin is None or process.stderr is None:
            raise ValueError("a child needs all three pipes")
        self._process = process
        self._stdin, self._stdout, self._stderr = process.stdin, output, process.stderr
        self._command = command
        self._tail: deque[str] = deque(maxlen=STDERR_LINES)
        self._tasks = Tasks("child")
        self._drained = self._tasks.start(self._drain(), "standard error")

    @classmethod
    async def spawn(cls, command: Command) -> Child:
        """Start a child. Raises `BackendError` when the program is missing or cannot be run."""
        program = command.arguments[0]
        if not _can_run(program):
            raise BackendError(f"{program} is not a program that can be run.")
        arguments = list(command.arguments)
        if command.guarded:
            arguments = [sys.executable, "-I", "-S", guard.__file__, str(os.getpid()), *arguments]
        output, process = Inflow(), None
        reading, writing = os.pipe()
        _widen(reading)
        await asyncio.get_running_loop().connect_read_pipe(lambda: output, os.fdopen(reading, "rb", 0))
        try:
            process = await asyncio.create_subprocess_exec(
                *arguments,
                stdin=asyncio.subprocess.PIPE,
                stdout=writing,
                stderr=asyncio.subprocess.PIPE,
                env=dict(command.environment),
                cwd=command.folder,
                limit=_READ,
                start_new_session=True,
            )
        except OSError as error:
            raise BackendError(f"{program} cannot be started: {error.strerror or error}.") from error
        finally:
            os.close(writing)
            if process is None:
                output.close()
        return cls(process, output, command)

    @property
    def pid(self) -> int:
        """Process id of the guard, or of the program where there is no guard."""
        return self._process.pid

    @property
    def returncode(self) -> int | None:
        """Exit status, negative for a signal; None while it runs."""
        return self._process.returncode

    def stderr_tail(self) -> str:
        """The last lines of standard error."""
        return "\n".join(self._tail)

    async def last_words(self, within: float = 1.0) -> tuple[int | None, str]:
        """Exit status and last lines of standard error of a child whose output has ended.

        The status is None when it still runs after `within` seconds.
        """
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within):
                await self.wait()
        return self.returncode, self.stderr_tail()

    async def read(self) -> bytes:
        """The next bytes of standard output; empty at its end."""
        return await self._stdout.read()

    async def read_all(self, take: Take) -> None:
        """Hand every piece of standard output to `take` as it comes, until its end. Raises what it raises."""
        await self._stdout.read_all(take)

    def rest(self, seconds: float) -> None:
        """Leave its output in the pipe for so many seconds, or until `go_on`."""
        self._stdout.rest(seconds)

    def go_on(self) -> None:
        """Rest no longer. Idempotent."""
        self._stdout.go_on()

    def write(self, data: bytes) -> None:
        """Put bytes into the pipe's buffer. Bytes for a child that is gone are dropped."""
        if not self._stdin.is_closing():
            self._stdin.write(data)

    def close_input(self) -> None:
        """It gets no more input. Idempotent."""
        self._stdin.close()

    def terminate(self) -> None:
        """Ask it to end; returns at once. What it left is ended by `stop`, or by its guard."""
        self._terminate()

    def end_orphans(self, program: str) -> None:
        """Kill what runs this program below the guard and has lost its parent. Without a guard nothing can be
        told from what others left.
        """
        if self._command.guarded and (ended := end_orphans(self.pid, program)):
            logger.info("ended %d processes of %s that had lost their parent", len(ended), program)

    async def drain(self) -> None:
        """Wait while the buffer of the pipe is full. Returns at once when the child is gone."""
        with contextlib.suppress(ConnectionError):
            await self._stdin.drain()

    async def wait(self) -> int:
        """Wait for the end, with standard error read to its end. Returns the exit status."""
        code = await self._process.wait()
        with contextlib.suppress(TimeoutError):  # something may have inherited the pipe and live on
            async with asyncio.timeout(1):
                await asyncio.wait({self._drained})
        return code

    async def stop(self, grace: float = _RUNG, *, hanging: bool = False) -> int:
        """End the child: close its input, terminate, kill, waiting in between. Idempotent.

        `grace` is the time in seconds it has after its input was closed; a `hanging` child is not asked to
        terminate. Returns the exit status. Cancelled, it kills the child and sees it gone.
        """
        ladder = [(grace, self._terminate), (_RUNG, self._kill_tree), (_RUNG + 1, self._kill)]
        if hanging:
            ladder[:2] = [(0, self._kill_tree)]
        try:
            self._stdin.close()
            for wait, action in ladder:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(wait):
                        return await self.wait()
                action()
            return await self.wait()
        except asyncio.CancelledError:  # who ends it has no more time: neither has the child
            self._kill_tree()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_RUNG + 1):
                    await self.wait()
            raise
        finally:
            self._stdout.close()  # something may have inherited the pipe and live on
            await self._tasks.close()

    def _terminate(self) -> None:
        self._signal(signal.SIGTERM)

    def _kill_tree(self) -> None:
        if self._command.guarded:
            self._signal(signal.SIGUSR1)
        else:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, signal.SIGKILL)  # the child began a session of its own
            self._kill()

    def _kill(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()

    def _signal(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError):
            self._process.send_signal(number)

    async def _drain(self) -> None:
        rest = b""
        while data := await self._stderr.read(_READ):
            *lines, rest = (rest + data).split(b"\n")
            rest = rest[-STDERR_LINE_CHARS:]
            for line in lines[-STDERR_LINES:]:
                self._keep(line)
        self._keep(rest)

    def _keep(self, line: bytes) -> None:
        text = line.decode(errors="replace").strip()[:STDERR_LINE_CHARS]
        if text:
            self._tail.append(text)


def _widen(pipe: int) -> None:
    """Make room for what a child says while we are busy. Where that cannot be, it waits for us more often."""
    if sys.platform == "linux":
        with contextlib.suppress(OSError):  # the user's pipes may hold no more
            fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, LARGEST_PIECE)


def _can_run(program: str) -> bool:
    return os.access(program, os.X_OK) and not Path(program).is_dir()
