"""`process doctor` with the real Codex and its sandbox, on a machine with nothing set up."""

from __future__ import annotations

import json
from pathlib import Path

from tests.fakes.program import Program


def test_the_command(tmp_path: Path) -> None:
    """The real program, Codex and its sandbox: no login is an error, a key of a dead endpoint another."""
    program = Program(tmp_path / "home")
    done = program.run("doctor --json")
    found = {each["subject"]: each for each in json.loads(done.stdout)["findings"]}
    assert done.returncode == 2
    assert found["codex login"]["level"] == "error"
    assert "process login codex" in found["codex login"]["fix"]
    assert found["codex"]["level"] == "ok"
    assert "works here" in found["sandbox"]["text"] or found["sandbox"]["fix"]
    assert not list((tmp_path / "home").glob(".local*"))
