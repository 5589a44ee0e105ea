"""Which records belong to which thread: kept in a file."""

from __future__ import annotations

import stat
from datetime import UTC, datetime
from pathlib import Path

import pytest

from process_agent.core.ids import ThreadId, TurnId
from process_agent.core.models import ModelChoice
from process_agent.errors import RoomError, UsageError
from process_agent.threads.register import Register, Registered, file_name

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
A, B = ThreadId("tmp://a/threads/1"), ThreadId("tmp://a/threads/2")


def known(name: str, *records: str) -> Registered:
    model = ModelChoice("codex", None, "gpt-5.5", "low")
    return Registered(
        name, NOW, NOW, "ana", model, True, 1, TurnId("t"), [{"thread": each} for each in records]
    )


def loaded(path: Path) -> Register:
    register = Register(path)
    register.load()
    return register


def test_what_was_written_last_is_read(tmp_path: Path) -> None:
    path = tmp_path / "threads" / "x.jsonl"
    register = loaded(path)
    for thread, name in ((A, "one"), (B, "two"), (A, "three")):
        register.threads[thread] = known(name, "r1", "r2")
        register.write(thread)
    del register.threads[B]
    register.write(B)
    register.check()
    assert loaded(path).threads == {A: known("three", "r1", "r2")}
    assert len(path.read_text().splitlines()) == 1, "outdated lines are left out"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_thread_without_a_record_ends_with_the_agent(tmp_path: Path) -> None:
    register = loaded(tmp_path / "x.jsonl")
    register.threads[A] = known("one")
    register.write(A)
    assert loaded(tmp_path / "x.jsonl").threads == {}


def test_a_line_that_was_cut_off_costs_no_other(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "x.jsonl"
    register = loaded(path)
    for thread in (A, B):
        register.threads[thread] = known("one", "r")
        register.write(thread)
    path.write_text(path.read_text()[:-9])
    assert loaded(path).threads == {A: known("one", "r")}
    assert "cannot be read" in caplog.text


def test_a_file_that_cannot_be_written_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="cannot be used"):
        loaded(tmp_path / "file" / "x.jsonl")
    register = loaded(tmp_path / "there" / "x.jsonl")
    register.threads[A] = known("one", "r")
    (tmp_path / "there" / "x.jsonl").unlink()
    (tmp_path / "there").rmdir()
    register.write(A)
    with pytest.raises(RoomError, match="cannot be written"):
        register.check()


def test_rooms_and_agents_have_files_of_their_own() -> None:
    assert len({file_name("", "a/b", "c"), file_name("", "a", "b/c"), file_name("a", "b", "c")}) == 3
    assert "/" not in file_name("..", "../..", "/")
