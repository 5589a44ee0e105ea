"""`process run` as a program: the real Codex, with and without a room."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import pytest

from tests.fakes.program import Loaded, children_of

CODEX = "--backend codex --provider scripted"


def test_one_turn_without_a_room_keeps_nothing_and_starts_no_server(tmp_path: Path) -> None:
    program = Loaded(tmp_path / "home")
    done = program.run(f"run {CODEX} --message", "say 7 7 7 and ha ha ha")
    assert (done.returncode, done.stdout) == (0, "7 7 7 and ha ha ha\n"), done.stderr
    assert program.run("room status --json").returncode != 0


def test_a_thread_of_a_room_goes_on_in_the_next_run(tmp_path: Path) -> None:
    program = Loaded(tmp_path / "home")
    try:
        first = program.run(f"run --room demo {CODEX} --message", "say the word is plum")
        assert (first.returncode, first.stdout) == (0, "the word is plum\n"), first.stderr
        listed = program.run("threads --room demo --agent-name agent --json")
        [thread] = [json.loads(line) for line in listed.stdout.splitlines()]
        again = program.run(f"run --room demo {CODEX} --thread {thread['path']} --json --message", "say hm")
        assert again.returncode == 0, again.stderr
        kinds = [json.loads(line)["type"] for line in again.stdout.splitlines()]
        assert kinds.count("meshagent.agent.turn.ended") == 1
        shown = program.run(f"threads show {thread['path']} --room demo --agent-name agent --json")
        texts = [json.loads(line).get("text") for line in shown.stdout.splitlines()]
        assert [text for text in texts if text in ("the word is plum", "hm")] == ["the word is plum", "hm"]
    finally:
        program.stop_room()


def test_others_talk_to_it_through_a_channel_it_opens(tmp_path: Path) -> None:
    program = Loaded(tmp_path / "home")
    try:
        with program.running(f"run --room demo --channel chat {CODEX} --json --message hang", "turn.started"):
            done = program.run("chat --room demo --message", "say hello from outside")
        assert (done.returncode, done.stdout) == (0, "hello from outside\n"), done.stderr
    finally:
        program.stop_room()


def test_sigterm_ends_the_turn_and_leaves_no_process_behind(tmp_path: Path) -> None:
    program = Loaded(tmp_path / "home")
    with program.running(f"run {CODEX} --json --message hang", "turn.started") as (child, _):
        family = children_of(child.pid)
        child.send_signal(signal.SIGTERM)
        child.wait(timeout=20)
    assert family
    assert not [pid for pid in family if Path(f"/proc/{pid}").exists()]


@pytest.mark.parametrize(
    ("command", "says"),
    [
        ("run --channel chat --message hi", "no channel but this terminal"),
        ("run --room demo --no-room --message hi", "contradict"),
        ("run --json", "--json goes with --message"),
    ],
)
def test_what_cannot_be_is_a_usage_error(tmp_path: Path, command: str, says: str) -> None:
    done = Loaded(tmp_path / "home").run(command)
    assert done.returncode == 2
    assert says in done.stderr
