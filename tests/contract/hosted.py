"""A hosted MeshAgent for tests: the REST stand-in, a room that speaks its protocol, and our command line."""

from __future__ import annotations

import asyncio
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOM = "gettingstarted"
IMAGE = "registry.example.com/team/process:1.0"
AGENT = "--agent-name codex-agent --channel chat --backend codex"
DEPLOY = f"deploy --service-name codex-agent --room gettingstarted {AGENT}"


@dataclass(frozen=True)
class Done:
    code: int
    stdout: str
    stderr: str


class Typed:
    """The command line in this process: a program of its own for each command takes seconds to start."""

    def __init__(self, work: Path, capture: pytest.CaptureFixture[str]) -> None:
        self.work = work
        self._capture = capture

    def run(self, command: str, *more: str) -> Done:
        from process_agent.cli import main

        self._capture.readouterr()
        code: object = 0
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(sys, "argv", ["process", *command.split(), *more])
            try:
                main()
            except SystemExit as ended:
                code = ended.code or 0
        said = self._capture.readouterr()
        return Done(int(str(code)), said.out, said.err)


async def run(typed: Typed, command: str, *more: str, code: int = 0) -> Done:
    done = await asyncio.to_thread(typed.run, command, *more)
    assert done.code == code, (command, done.stdout, done.stderr)
    return done
