"""What has lost its parent below a guard, with real processes."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from process_agent.io.child import Child
from tests.unit.io.test_child import ended, python, read_line

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="guards are there on Linux")

SAYS_ITS_NUMBER = "import os, time; print(os.getpid(), flush=True); time.sleep(600)"

LOSES_ONE = f"""
import os, sys, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        os.execv(sys.executable, ["a-sandbox", "-c", {SAYS_ITS_NUMBER!r}])
    os._exit(0)
os.wait()
print("lost", flush=True)
time.sleep(600)
"""
KEEPS_ONE = f"""
import subprocess, sys
subprocess.run(["a-sandbox", "-c", {SAYS_ITS_NUMBER!r}], executable=sys.executable)
"""


async def test_the_named_program_is_ended_where_it_lost_its_parent(tmp_path: Path) -> None:
    child = await Child.spawn(python(LOSES_ONE, tmp_path))
    try:
        said = ""
        while said.count("\n") < 2:
            said += (await child.read()).decode()
        pid = int(said.replace("lost", ""))
        child.end_orphans("another-sandbox")
        assert not ended(pid, 0)
        child.end_orphans("a-sandbox")
        assert ended(pid, 5)
    finally:
        await child.stop()


async def test_a_process_that_has_its_parent_stays(tmp_path: Path) -> None:
    child = await Child.spawn(python(KEEPS_ONE, tmp_path))
    try:
        pid = int(await read_line(child))
        child.end_orphans("a-sandbox")
        assert not ended(pid, 0)
    finally:
        await child.stop()
    assert ended(pid, 5)
