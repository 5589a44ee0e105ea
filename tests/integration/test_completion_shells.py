"""Completion in real shells, at a terminal; zsh and fish where they are installed."""

from __future__ import annotations

import os
import pty
import select
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from process_agent.cli.completion.scripts import SCRIPTS
from tests.fakes.program import PROCESS

PATIENCE = 40.0
HOME_KEY, END_KEY = "\x01", "\x05"


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    (tmp_path / "data" / "rooms" / "gettingstarted").mkdir(parents=True)
    (tmp_path / "notes.txt").touch()
    return {
        "PATH": f"{Path(PROCESS).parent}:{os.environ['PATH']}",
        "HOME": str(tmp_path),
        "PROCESS_DATA_DIR": str(tmp_path / "data"),
        "TERM": "dumb",
        "LANG": "C.UTF-8",
    }


TAKE_TERMINAL = """
import fcntl, os, sys, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
os.execvp(sys.argv[1], sys.argv[1:])
"""


class Shell:
    """An interactive shell at a terminal of its own."""

    def __init__(self, arguments: list[str], environment: dict[str, str], script: Path) -> None:
        # Not `pty.fork`: libraries that other tests have loaded warn of forks.
        self._terminal, theirs = pty.openpty()
        self._shell = subprocess.Popen(
            [sys.executable, "-c", TAKE_TERMINAL, *arguments],
            env=environment,
            cwd=environment["HOME"],
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
        )
        os.close(theirs)
        self._asked = 0
        self.type(f"PS1='> '; . {script}\n")

    def type(self, text: str) -> None:
        os.write(self._terminal, text.encode())

    def completed(self, line: str) -> str:
        """What the line has become after the tabulator key, and an X that shows whether a blank came."""
        self._asked += 1
        mark = f"<{self._asked}"
        self.type(f"{line}\tX")
        self.type(f"{HOME_KEY}echo '{mark}'\"|\" '{END_KEY}'\n")
        seen, deadline = "", time.monotonic() + PATIENCE
        while f"{mark}|" not in seen or not seen.rsplit(f"{mark}|", 1)[1].count("\n"):
            ready, _, _ = select.select([self._terminal], [], [], max(0.0, deadline - time.monotonic()))
            assert ready, f"nothing more after {seen!r}"
            seen += os.read(self._terminal, 65536).decode(errors="replace")
        return seen.rsplit(f"{mark}|", 1)[1].split("\n")[0].strip("\r")

    def close(self) -> None:
        self.type("\x03exit\n")
        os.close(self._terminal)
        self._shell.wait(PATIENCE)


LINES = [
    ("process jo", "process join "),
    ("process join --sandb", "process join --sandbox "),
    ("process join --sandbox rea", "process join --sandbox read-only "),
    ("process join --room gett", "process join --room gettingstarted "),
    ("process join --room=gett", "process join --room=gettingstarted "),
    ("process join --channel que", "process join --channel queue:"),
    ("process join --rules-file not", "process join --rules-file notes.txt "),
    ("process threads sho", "process threads show "),
]


@pytest.mark.parametrize("name", ["bash", "zsh"])
def test_at_a_terminal(name: str, environment: dict[str, str], tmp_path: Path) -> None:
    if shutil.which(name) is None:
        pytest.skip(f"{name} is not installed")
    script = tmp_path / "completion"
    script.write_text(SCRIPTS[name])
    arguments = {"bash": ["bash", "--norc", "--noprofile", "-i"], "zsh": ["zsh", "-f", "-i"]}
    shell = Shell(arguments[name], environment, script)
    try:
        assert [shell.completed(line).strip() for line, _ in LINES] == [f"{wanted}X" for _, wanted in LINES]
    finally:
        shell.close()


def test_in_fish(environment: dict[str, str], tmp_path: Path) -> None:
    if shutil.which("fish") is None:
        pytest.skip("fish is not installed")
    script = tmp_path / "completion.fish"
    script.write_text(SCRIPTS["fish"])
    asked = "".join(f'echo "# {line}"; complete -C "{line}"\n' for line, _ in LINES)
    done = subprocess.run(
        ["fish", "--no-config", "-c", f"source {script}\n{asked}"],
        env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=PATIENCE, check=True,
    )  # fmt: skip
    answers = done.stdout.split("# ")[1:]
    assert done.stderr == ""
    for (line, wanted), said in zip(LINES, answers, strict=True):
        word = wanted.split()[-1]
        assert any(each.split("\t")[0] == word for each in said.splitlines()[1:]), (line, said)


def test_the_program_on_the_path_is_asked_and_none_in_a_folder(
    environment: dict[str, str], tmp_path: Path
) -> None:
    """Completing `./process` must not run it."""
    planted = tmp_path / "process"
    planted.write_text("#!/bin/sh\ntouch run-by-a-key-press\n")
    planted.chmod(0o755)
    script = tmp_path / "completion"
    script.write_text(SCRIPTS["bash"])
    shell = Shell(["bash", "--norc", "--noprofile", "-i"], environment, script)
    try:
        assert shell.completed("./process jo").strip() == "./process join X"
    finally:
        shell.close()
    assert not (tmp_path / "run-by-a-key-press").exists()
