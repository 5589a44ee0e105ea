from __future__ import annotations

import asyncio
import os
import select
import sys
import time
from pathlib import Path

import pytest

from process_agent.errors import BackendError
from process_agent.io.child import STDERR_LINES, Child, Command

ENVIRONMENT = {"PATH": os.defpath}
linux = pytest.mark.skipif(sys.platform != "linux", reason="the guard needs Linux")


def python(code: str, folder: Path, *, guarded: bool = True) -> Command:
    return Command(
        [sys.executable, "-I", "-S", "-c", code], ENVIRONMENT, folder, guarded and sys.platform == "linux"
    )


async def read_line(child: Child) -> str:
    data = b""
    while not data.endswith(b"\n"):
        piece = await child.read()
        assert piece, f"ended early: {child.stderr_tail()}"
        data += piece
    return data.decode().strip()


async def gone(pid: int, within: float) -> bool:
    return await asyncio.to_thread(ended, pid, within)


def ended(pid: int, within: float) -> bool:
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([handle], [], [], max(within, 0))[0])
    finally:
        os.close(handle)


@pytest.mark.parametrize("guarded", [True, False])
async def test_talks_and_ends_when_its_input_closes(tmp_path: Path, guarded: bool) -> None:
    child = await Child.spawn(
        python("for l in open(0): print(l.strip()[::-1], flush=True)", tmp_path, guarded=guarded)
    )
    child.write(b"abc\n")
    await child.drain()
    assert await read_line(child) == "cba"
    assert await child.stop() == 0
    assert await child.stop() == 0


@pytest.mark.parametrize("guarded", [True, False])
@pytest.mark.parametrize(
    ("code", "status"), [("raise SystemExit(7)", 7), ("import os; os.kill(os.getpid(), 9)", -9)]
)
async def test_the_exit_status_is_the_commands(tmp_path: Path, guarded: bool, code: str, status: int) -> None:
    child = await Child.spawn(python(code, tmp_path, guarded=guarded))
    assert await child.wait() == status
    await child.stop()


@pytest.mark.parametrize("guarded", [True, False])
async def test_the_ladder_ends_a_child_that_ignores_everything(tmp_path: Path, guarded: bool) -> None:
    code = "import signal, time\nsignal.signal(15, signal.SIG_IGN)\nprint('up', flush=True)\ntime.sleep(99)"
    child = await Child.spawn(python(code, tmp_path, guarded=guarded))
    await read_line(child)
    started = time.monotonic()
    await child.stop(grace=0.1)
    assert child.returncode == -9
    assert time.monotonic() - started < 5


@pytest.mark.parametrize("guarded", [True, False])
async def test_who_has_no_time_to_wait_for_its_end_sees_it_gone_all_the_same(
    tmp_path: Path, guarded: bool
) -> None:
    stubborn = "import signal, time; signal.signal(15, signal.SIG_IGN); print(flush=True); time.sleep(600)"
    child = await Child.spawn(python(stubborn, tmp_path, guarded=guarded))
    await read_line(child)
    stopping = asyncio.create_task(child.stop(60))
    await asyncio.sleep(0)
    stopping.cancel()
    with pytest.raises(asyncio.CancelledError):
        await stopping
    assert child.returncode is not None


async def test_a_full_stderr_does_not_block_and_its_end_is_kept(tmp_path: Path) -> None:
    code = "import sys\nfor i in range(60000): sys.stderr.write(f'line {i}\\n')\nsys.stderr.write('x' * 9999)"
    child = await Child.spawn(python(code, tmp_path))
    assert await child.wait() == 0
    lines = child.stderr_tail().splitlines()
    assert len(lines) == STDERR_LINES
    assert lines[-2] == "line 59999"
    assert set(lines[-1]) == {"x"}
    await child.stop()


@pytest.mark.parametrize("program", ["/nowhere/codex", "/"])
async def test_a_missing_program_is_named(tmp_path: Path, program: str) -> None:
    with pytest.raises(BackendError, match=program):
        await Child.spawn(Command([program], ENVIRONMENT, tmp_path))


async def test_writing_to_a_child_that_is_gone_is_harmless(tmp_path: Path) -> None:
    child = await Child.spawn(python("pass", tmp_path))
    await child.wait()
    child.write(b"x" * 100_000)
    await child.drain()
    await child.stop()
    child.write(b"x")


DETACHED = """
import os, subprocess, sys, time
code = "import os,time\\nr,w=os.pipe()\\nif os.fork():os.close(w);os.read(r,1);os._exit(0)\\nos.setsid()"
code += "\\nprint(os.getpid(),flush=1)\\nos.close(w)\\ntime.sleep(60)"  # who leaves it waits for its name
subprocess.run([sys.executable, "-I", "-S", "-c", code])
"""


@linux
async def test_what_a_command_left_behind_goes_with_it(tmp_path: Path) -> None:
    child = await Child.spawn(python(DETACHED, tmp_path))
    orphan = int(await read_line(child))
    assert await child.wait() == 0
    assert await gone(orphan, 1)
    await child.stop()


PARENT = """
import asyncio, sys
from pathlib import Path
from process_agent.io.child import Child, Command
async def main():
    child = await Child.spawn(Command([sys.executable, "-I", "-S", "-c", {code!r}], {{}}, Path({folder!r})))
    while data := await child.read():
        sys.stdout.buffer.write(data)
        sys.stdout.flush()
asyncio.run(main())
"""


@linux
async def test_nothing_survives_kill_9_of_the_parent_by_two_seconds(tmp_path: Path) -> None:
    stubborn = (
        "import signal\nfor n in (1, 2, 15): signal.signal(n, signal.SIG_IGN)\n"
        + DETACHED
        + "time.sleep(600)"
    )
    code = PARENT.format(code=stubborn, folder=str(tmp_path))
    parent = await asyncio.create_subprocess_exec(
        sys.executable, "-c", code, stdout=asyncio.subprocess.PIPE, cwd=Path(__file__).parents[3]
    )
    assert parent.stdout is not None
    orphan = int(await parent.stdout.readline())
    below = descendants(parent.pid)
    assert orphan in below
    assert len(below) >= 3, "guard, command and what it detached"
    parent.kill()
    killed = time.monotonic()
    await parent.wait()
    for pid in below:
        assert await gone(pid, 2 - (time.monotonic() - killed)), f"{pid} outlived its parent"


def descendants(root: int) -> list[int]:
    parents: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                stat = (entry / "stat").read_text()
            except (FileNotFoundError, ProcessLookupError):
                continue
            parents.setdefault(int(stat.rpartition(")")[2].split()[1]), []).append(int(entry.name))
    found, todo = [], [root]
    while todo:
        children = parents.get(todo.pop(), [])
        found += children
        todo += children
    return found
