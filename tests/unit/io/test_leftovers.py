from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from process_agent.errors import BackendError
from process_agent.io.leftovers import VARIABLE, mark_children

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")

GONE = {"pid": 2**22 + 1, "started": "another-boot/1"}


@contextmanager
def sleeping(**environment: str) -> Iterator[subprocess.Popen[bytes]]:
    """A process in a session of its own that nobody waits for; it has said that it runs."""
    script = "import sys, time; print('up', flush=True); time.sleep(60)"
    child = subprocess.Popen(
        [sys.executable, "-I", "-S", "-c", script],
        env={"PATH": os.defpath, **environment},
        start_new_session=True,
        stdout=subprocess.PIPE,
    )
    assert child.stdout is not None
    try:
        assert child.stdout.readline() == b"up\n"
        yield child
    finally:
        child.kill()
        child.wait()
        child.stdout.close()


def lives(child: subprocess.Popen[bytes]) -> bool:
    try:
        child.wait(0)
    except subprocess.TimeoutExpired:
        return True
    return False


def test_what_a_dead_agent_left_is_ended_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "dead.json").write_text(json.dumps(GONE))
    (tmp_path / "reused.json").write_text(json.dumps({"pid": os.getpid(), "started": "another-boot/1"}))
    (tmp_path / "cut.json").write_text("{")
    living = mark_children(tmp_path / "other agent")
    with (
        sleeping(**{VARIABLE: "dead"}) as left,
        sleeping(**{VARIABLE: "reused"}) as also_left,
        sleeping(**{VARIABLE: "cut"}) as third,
        sleeping(**{VARIABLE: living.word}) as in_use,
        sleeping(**{VARIABLE: "unknown"}) as not_ours,
        sleeping(OTHER=f"{VARIABLE}=dead") as alike,
        sleeping() as unmarked,
    ):
        mark_children(tmp_path)
        for ended in (left, also_left, third):
            assert ended.wait(5) == -9
        for other in (in_use, not_ours, alike, unmarked):
            assert lives(other)
    assert len(list(tmp_path.glob("*.json"))) == 1, "records of the dead are forgotten"


def test_an_agent_beside_us_in_the_same_folder_is_not_gone(tmp_path: Path) -> None:
    first = mark_children(tmp_path)
    with sleeping(**{VARIABLE: first.word}) as child:
        second = mark_children(tmp_path)
        assert second.word != first.word
        second.remove()
        assert lives(child)
        assert first.sweep() == 1
        assert child.wait(5) == -9
    first.remove()
    first.remove()
    assert list(tmp_path.iterdir()) == []


def test_the_sweeper_does_not_end_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mark = mark_children(tmp_path)
    code = (
        "import sys; from pathlib import Path; from process_agent.io.leftovers import Mark;"
        f"print(Mark(Path({str(tmp_path)!r}) / '{mark.word}.json').sweep())"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, VARIABLE: mark.word}, capture_output=True, check=True
    )
    assert done.stdout == b"0\n"


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(BackendError, match="file"):
        mark_children(tmp_path / "file")
