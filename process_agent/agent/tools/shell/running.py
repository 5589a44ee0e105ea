"""A command that runs: started, heard, ended. And what all commands of an agent have in common."""

from __future__ import annotations

import asyncio
import contextlib
import shlex
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

from process_agent.agent.tools.shell.output import Capture
from process_agent.errors import ToolFailedError
from process_agent.io import pty_relay
from process_agent.io.child import Child, Command
from process_agent.io.command_sandbox import CommandSandbox, shell_of
from process_agent.io.tasks import Tasks

MAX_SCRIPT: Final = 100_000
"""Bytes of a command; the system takes 128 KiB for one argument."""

MAX_WRITTEN: Final = 256 * 1024 * 1024
"""Bytes a command may write; one that writes more is ended."""

MAX_COMMANDS: Final = 64
"""Commands of one agent that run at once."""

_CLOSE_SECONDS: Final = 5.0

type Hear = Callable[[str], None]


class RunningCommand:
    """A command and what it has written. `exit_code` is None until it has ended, `over` when it has."""

    def __init__(self, child: Child, tasks: Tasks, on_end: Callable[[], None]) -> None:
        self.capture = Capture()
        self.exit_code: int | None = None
        self.flooded = False
        self.hear: Hear | None = None
        """Gets the output as it comes."""
        self._child = child
        self._tasks = tasks
        self._on_end = on_end
        self._loop = asyncio.get_running_loop()
        self._began = self._loop.time()
        self._ended_at: float | None = None
        self._ending = False
        self._over = tasks.start(self._run(), "command")

    @property
    def over(self) -> bool:
        """Whether it has ended."""
        return self._over.done()

    @property
    def seconds(self) -> float:
        """How long it has run."""
        return (self._ended_at or self._loop.time()) - self._began

    async def wait(self, seconds: float) -> bool:
        """Wait for its end, that long at most. False when it still runs."""
        await asyncio.wait({self._over}, timeout=seconds)
        return self.over

    def write(self, text: str) -> None:
        """Give it input."""
        self._child.write(text.encode(errors="replace"))

    def close_input(self) -> None:
        """It gets no more input."""
        self._child.close_input()

    def end(self) -> None:
        """End it and everything it started, whatever session that made for itself; returns at once."""
        if not self._ending and not self.over:
            self._ending = True
            self._child.terminate()
            self._tasks.start(self._child.stop(hanging=True), "ending a command")

    async def _run(self) -> None:
        try:
            while data := await self._child.read():
                self._tell(self.capture.take(data))
                if self.capture.bytes > MAX_WRITTEN and not self.flooded:
                    self.flooded = True
                    self.end()
                await asyncio.sleep(0)  # a flood is read without ever waiting, and others are there too
            code = await self._child.wait()
            self._tell(self.capture.take(b"", end=True))
            self._tell(self.capture.take(self._before().encode()))
            self.exit_code = code if code >= 0 else 128 - code
        finally:
            self._ended_at = self._loop.time()
            self._child.terminate()
            await self._child.stop(hanging=True)
            self._on_end()

    def _before(self) -> str:
        """What went wrong before the command could run; its own errors are in its output."""
        said = self._child.stderr_tail()
        return f"{said}\n" if said else ""

    def _tell(self, text: str) -> None:
        if text and self.hear is not None:
            self.hear(text)


class Commands:
    """Starts the commands of one agent. Whoever makes it closes it."""

    def __init__(self, sandbox: CommandSandbox) -> None:
        self.sandbox = sandbox
        self._tasks = Tasks("shell")
        self._running: set[RunningCommand] = set()

    async def start(
        self, script: str, *, folder: Path, workdir: Path, inside: bool, terminal: bool = False
    ) -> RunningCommand:
        """Start a script in a shell. Raises `ToolFailedError` and `BackendError`."""
        if len(self._running) >= MAX_COMMANDS:
            raise ToolFailedError(f"{MAX_COMMANDS} commands run already; end some of them.")
        command = self._command(script, folder, workdir, inside, terminal)
        child = await Child.spawn(command)
        running: RunningCommand | None = None

        def ended() -> None:
            if running is not None:
                self._running.discard(running)

        running = RunningCommand(child, self._tasks, ended)
        self._running.add(running)
        return running

    def _command(self, script: str, folder: Path, workdir: Path, inside: bool, terminal: bool) -> Command:
        words = [shell_of(self.sandbox.path), "-c", script]
        if terminal:
            words = [sys.executable, "-I", "-S", pty_relay.__file__, *words]
        return self.sandbox.command(words, folder=folder, workdir=workdir, inside=inside)

    async def close(self) -> None:
        """End all of them."""
        for running in tuple(self._running):
            running.end()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_CLOSE_SECONDS):
                await self._tasks.wait()
        await self._tasks.close()
        await self.sandbox.close()


def script_of(command: object) -> str:
    """The script that a model means. Raises `ToolFailedError`.

    Some write a list, as for an older tool: `["bash", "-lc", script]`, or the words of a program.
    """
    if isinstance(command, list) and all(isinstance(word, str) for word in command):
        wrapped = len(command) == 3 and command[1] in ("-c", "-lc") and command[0].endswith("sh")
        command = command[2] if wrapped else shlex.join(command)
    if not isinstance(command, str) or not command.strip():
        raise ToolFailedError("The command is missing: give it as text.")
    if "\0" in command or len(command.encode(errors="replace")) > MAX_SCRIPT:
        raise ToolFailedError(
            f"A command has no NUL and at most {MAX_SCRIPT:,} bytes; write a longer one to a file first."
        )
    return command
