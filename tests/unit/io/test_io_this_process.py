"""Whether a process is gone, by the name it gave itself."""

from __future__ import annotations

import subprocess
import sys

import pytest

from process_agent.io.this_process import is_gone, name_of_this_process

NAMED = "from process_agent.io.this_process import name_of_this_process as n; print(n(), flush=True); input()"


def test_we_are_here() -> None:
    assert name_of_this_process() == name_of_this_process()
    assert not is_gone(name_of_this_process())


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere nobody is found gone")
def test_a_killed_process_is_gone_before_anybody_waits_for_it() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", NAMED], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as child:
        assert child.stdout is not None
        name = child.stdout.readline().strip()
        assert not is_gone(name)
        child.kill()
        assert child.stdout.read() == ""  # its end is known to the system
        child.wait()
        assert is_gone(name)


@pytest.mark.parametrize("name", ["", "x", "elsewhere/1/2", "a/b/c", "///", "elsewhere/99999999999/1"])
def test_of_others_nothing_is_known(name: str) -> None:
    assert not is_gone(name)
