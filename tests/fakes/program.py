"""The `process` program as people start it: its own process, its own home, its own data folder."""

from __future__ import annotations

import io
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import chdir, contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from unittest.mock import patch

from tests.fakes.forked import Forked
from tests.fakes.forking import forks

PROCESS = str(Path(sys.executable).with_name("process"))
READY = "Ctrl-C stops the agent"
PATIENCE = float(os.environ.get("TEST_PATIENCE", "40"))
"""Seconds for anything that people wait for; more on a machine that is busy with other work."""


type Started = subprocess.Popen[str] | Forked
"""A program that runs, or has ended."""


class Program:
    """A home with nothing in it but what the test puts there."""

    def __init__(self, home: Path, **variables: str) -> None:
        self.home = home
        self.work = home / "work"
        self.work.mkdir(parents=True)
        self.environment = {"PATH": os.environ["PATH"], "HOME": str(home), "LANG": "C.UTF-8", **variables}

    def run(self, command: str, *more: str, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
        """Run `process COMMAND` to its end; `command` is split at blanks, `more` is not."""
        child = self._start(command, *more)
        try:
            said, errors = child.communicate(stdin, timeout=PATIENCE)
        except subprocess.TimeoutExpired:
            child.kill()
            raise
        return subprocess.CompletedProcess([PROCESS, *command.split(), *more], child.wait(), said, errors)

    @contextmanager
    def running(self, command: str, until: str = READY) -> Iterator[tuple[Started, str]]:
        """Start `process COMMAND`, wait for a line with `until`, give what it printed; end it after."""
        child = self._start(command)
        try:
            yield child, read_until(child, until)
        finally:
            if child.poll() is None:
                child.send_signal(signal.SIGTERM)
            child.communicate(timeout=PATIENCE)

    def stop_room(self) -> None:
        """End the local room's server."""
        self.run("room stop")

    def _start(self, command: str, *more: str) -> Started:
        return subprocess.Popen(
            [PROCESS, *command.split(), *more],
            env=self.environment,
            cwd=self.work,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )


class Loaded(Program):
    """The same, beginning with its modules loaded: see `forking`."""

    def _start(self, command: str, *more: str) -> Started:
        return forks().start([PROCESS, *command.split(), *more], self.environment, self.work)


class TypedHere(Program):
    """The same for commands that only print or refuse: they run in this process, whose modules are loaded.

    A program of its own costs each of them half a second. Not for commands that start something, nor beside
    other threads: environment, working folder and output are those of the whole process.
    """

    def run(self, command: str, *more: str, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
        from process_agent.cli import main

        words, code = [PROCESS, *command.split(), *more], 0
        said, errors = (io.TextIOWrapper(io.BytesIO(), "utf-8", newline="") for _ in range(2))
        with (
            patch.dict(os.environ, self.environment, clear=True),
            patch.object(sys, "argv", words),
            patch.object(sys, "stdin", io.StringIO(stdin or "")),
            chdir(self.work),
            redirect_stdout(said),
            redirect_stderr(errors),
        ):
            try:
                main()
            except SystemExit as ended:
                code = int(ended.code or 0)
        said.seek(0)
        errors.seek(0)
        return subprocess.CompletedProcess(words, code, said.read(), errors.read())


def read_until(child: Started, wanted: str) -> str:
    """What a child prints, up to what is wanted."""
    assert child.stdout is not None
    seen = ""
    deadline = time.monotonic() + PATIENCE
    while wanted not in seen:
        ready, _, _ = select.select([child.stdout], [], [], max(0.0, deadline - time.monotonic()))
        piece = os.read(child.stdout.fileno(), 65536).decode() if ready else ""
        if not piece:
            child.kill()
            _, errors = child.communicate()
            raise AssertionError(f"never printed {wanted!r}; printed:\n{seen}\n{errors}")
        seen += piece
    return seen


def children_of(pid: int) -> set[int]:
    """All living descendants of a process (Linux)."""
    found: set[int] = set()
    queue = [pid]
    while queue:
        parent = queue.pop()
        for task in Path(f"/proc/{parent}/task").glob("*/children"):
            for child in map(int, task.read_text().split()):
                found.add(child)
                queue.append(child)
    return found


def alive(pid: int) -> bool:
    """Whether a process runs (a zombie does not)."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"
