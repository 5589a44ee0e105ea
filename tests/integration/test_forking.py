"""A forked program of the tests behaves as one that was started."""

from __future__ import annotations

import signal
import subprocess
from pathlib import Path

import pytest

from tests.fakes.forking import forks
from tests.fakes.program import Loaded, Program, Started, alive


@pytest.mark.parametrize(
    "command", ["room status", "room status --json", "threads --nope", "token", "--version"]
)
def test_it_says_and_ends_as_the_installed_program(tmp_path: Path, command: str) -> None:
    variables = {"PROCESS_DATA_DIR": str(tmp_path / "data")}
    forked = Loaded(tmp_path / "a", **variables).run(command)
    started = Program(tmp_path / "b", **variables).run(command)
    assert (forked.returncode, forked.stdout, forked.stderr) == (
        started.returncode,
        started.stdout,
        started.stderr,
    )


def test_it_has_files_and_an_end_of_its_own(tmp_path: Path) -> None:
    serve = ["process", "room", "serve", "--port", "0", "--data-dir", str(tmp_path / "data")]
    child: Started = forks().start(serve, {"HOME": str(tmp_path)}, tmp_path)
    assert child.stdout is not None
    assert "http://127.0.0.1:" in child.stdout.readline()
    assert child.poll() is None
    with pytest.raises(subprocess.TimeoutExpired):
        child.wait(0.01)
    assert Path(f"/proc/{child.pid}/cwd").readlink() == tmp_path
    child.send_signal(signal.SIGKILL)
    assert child.wait(10) == -signal.SIGKILL
    assert child.poll() == -signal.SIGKILL
    assert not alive(child.pid)
    child.communicate()
