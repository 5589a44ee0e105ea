"""What commands of the real Codex left running ends: with Codex, with the agent, at the next start."""

from __future__ import annotations

import asyncio
import os
import secrets
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from process_agent.core.events import EndReason, ToolStarted
from tests.contract.codex_room import codex_room, gone, processes_below, script

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the guard needs Linux")

DAEMON = """
import os, signal, sys
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        for number in range(1, 32):
            if number not in (signal.SIGKILL, signal.SIGSTOP, signal.SIGCHLD):
                signal.signal(number, signal.SIG_IGN)
        open("left", "w").write(str(os.getpid()))
        up = os.open("up", os.O_WRONLY)
        os.closerange(0, up)
        os.closerange(up + 1, 1024)
        os.set_inheritable(up, False)
        os.execvp("sleep", ["sleep", sys.argv[1]])
"""
"""Detaches itself as a daemon does: two forks, a session of its own, no open files, deaf to signals. Whoever
reads the pipe `up` sees its end once that is done.
"""

LEAVE = """
{python} -IS daemon.py {tag}
setsid nohup sleep {tag} > /dev/null 2>&1 &
sleep {tag} &
sleep {tag}
"""

LOSE_THE_GUARD = """
{python} -IS daemon.py {tag}
cat up
kill -9 $(cut -d' ' -f4 /proc/{codex}/stat)
sleep {tag}
"""

AGENT = """
import asyncio, sys
from pathlib import Path
from tests.contract.codex_room import codex_room, script
async def main():
    base, sandbox, command = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
    async with codex_room(base, sandbox=sandbox, approvals="auto") as room:
        command = command.replace("CODEX", str(room.app_server()))
        told = await room.turn(await room.thread(), script({"run": command}))
        print(told.end.reason, flush=True)
        await asyncio.sleep(60)
asyncio.run(main())
"""


class Leaving:
    """A working folder with the daemon in it, and a number by which its commands are found."""

    def __init__(self, base: Path) -> None:
        self.tag = f"9{secrets.randbelow(10**8):08d}"
        self.folder = base / "work"
        self.folder.mkdir()
        (self.folder / "daemon.py").write_text(DAEMON)
        os.mkfifo(self.folder / "up")

    def command(self, script: str) -> str:
        return script.format(python=sys.executable, tag=self.tag, codex="CODEX")

    async def detached(self) -> None:
        """Wait until the daemon has left everything behind."""
        await asyncio.to_thread((self.folder / "up").read_bytes)

    def running(self) -> set[int]:
        """Processes that sleep for so many seconds, wherever they are in the tree."""
        return {pid for pid in map(int, filter(str.isdigit, os.listdir("/proc"))) if self._is_one(pid)}

    def escaped(self) -> int:
        """The daemon, which still runs."""
        pid = int((self.folder / "left").read_text())
        assert pid in self.running()
        return pid

    def _is_one(self, pid: int) -> bool:
        try:
            return Path(f"/proc/{pid}/cmdline").read_bytes() == f"sleep\0{self.tag}\0".encode()
        except OSError:
            return False


@asynccontextmanager
async def agent(base: Path, sandbox: str, command: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """An agent of its own, whose turn runs the command; it prints how the turn ended."""
    started = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", AGENT, str(base), sandbox, command),
        stdout=asyncio.subprocess.PIPE,
        cwd=Path(__file__).parents[2],
    )
    try:
        yield started
    finally:
        if started.returncode is None:
            started.kill()
            await started.wait()


@pytest.mark.parametrize("sandbox", ["workspace-write", "full-access"])
async def test_nothing_survives_kill_9_of_the_agent(tmp_path: Path, sandbox: str) -> None:
    leaving = Leaving(tmp_path)
    async with agent(tmp_path, sandbox, leaving.command(LEAVE)) as started:
        await leaving.detached()
        while len(leaving.running()) < 4:  # noqa: ASYNC110 - the others are begun without a word
            await asyncio.sleep(0.01)
        below = processes_below(started.pid)
        assert "codex" in below.values()
        assert leaving.running() <= below.keys(), "the guard has all of them"
        started.kill()
        killed = time.monotonic()
        await started.wait()
    for pid, name in below.items():
        assert await gone(pid, 2 - (time.monotonic() - killed)), f"{name} outlived the agent"
    assert not leaving.running(), "none was begun meanwhile"


@pytest.mark.parametrize("end", ["closed", "killed"])
async def test_a_command_that_killed_its_guard_is_swept(tmp_path: Path, end: str) -> None:
    """With full access a command can detach itself and kill the guard that would take it along."""
    leaving = Leaving(tmp_path)
    options: dict[str, Any] = {"sandbox": "full-access", "approvals": "auto"}
    if end == "closed":
        async with codex_room(tmp_path, **options) as room:
            command = leaving.command(LOSE_THE_GUARD).replace("CODEX", str(room.app_server()))
            told = await room.turn(await room.thread(), script({"run": command}))
            assert told.end.reason is EndReason.LOST
            left = leaving.escaped()
        assert await gone(left, 2)
        return
    async with agent(tmp_path, "full-access", leaving.command(LOSE_THE_GUARD)) as started:
        assert started.stdout is not None
        assert await started.stdout.readline() == b"lost\n"
        started.kill()
    left = leaving.escaped()
    async with codex_room(tmp_path, **options):
        assert await gone(left, 2)


async def test_closing_takes_running_commands_along_and_leaves_the_folder_clean(tmp_path: Path) -> None:
    async with codex_room(tmp_path) as room:
        thread = await room.thread()
        started = asyncio.Event()
        running = asyncio.ensure_future(
            room.turn(
                thread,
                script({"run": "setsid sleep 300 & sleep 300"}),
                lambda e: started.set() if isinstance(e, ToolStarted) else None,
            )
        )
        await started.wait()
        below = room.processes()
        assert "codex" in below.values()
        await room.backend.close()
        assert (await running).end.reason is EndReason.LOST
        for pid in below:
            assert await gone(pid, 2)
        assert list(room.folder.iterdir()) == []


async def test_an_agent_beside_it_keeps_its_commands(tmp_path: Path) -> None:
    """Two agents of one name share a folder; the start and the end of one leave the other alone."""
    async with codex_room(tmp_path) as first:
        thread = await first.thread()
        running = asyncio.ensure_future(first.turn(thread, script({"run": "sleep 60"})))
        await first.model.wait_for_requests(1)
        while "sleep" not in first.processes().values():  # noqa: ASYNC110 - the command starts by itself
            await asyncio.sleep(0.02)
        async with codex_room(tmp_path) as second:
            assert (await second.turn(await second.thread(), "say hello")).text == "hello"
        assert "sleep" in first.processes().values()
        assert first.backend._server is not None
        assert first.backend._server._child is not None
        assert "codex" in processes_below(first.backend._server._child.pid).values()
        await thread.interrupt()
        await running
