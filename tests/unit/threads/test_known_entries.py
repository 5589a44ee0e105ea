"""Telling changes that others make to the list of threads from our own."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from process_agent.core.ids import ThreadId
from process_agent.core.store import Listed, ThreadEntry, Unlisted
from process_agent.threads import known
from process_agent.threads.known import KnownEntries

START = datetime(2026, 1, 1, tzinfo=UTC)


def entry(path: str, name: str = "x", seconds: int = 0) -> ThreadEntry:
    return ThreadEntry(ThreadId(path), name, START, START + timedelta(seconds=seconds))


@pytest.fixture
def seen() -> KnownEntries:
    seen = KnownEntries()
    assert seen.current([entry("a"), entry("b")]) == []
    assert seen.ready() == []
    return seen


def test_what_others_write_is_new_or_changed_once(seen: KnownEntries) -> None:
    assert seen.changed(entry("c")) == Listed(entry("c"), new=True)
    assert seen.changed(entry("c", "y")) == Listed(entry("c", "y"), new=False)
    assert seen.changed(entry("c", "y")) is None
    assert seen.removed(ThreadId("c")) == Unlisted(ThreadId("c"))
    assert seen.removed(ThreadId("c")) is None


def test_what_we_write_is_passed_over_also_when_several_changes_come_back_as_one(seen: KnownEntries) -> None:
    for seconds in (1, 2, 3):
        seen.writing(entry("a", seconds=seconds))
    assert seen.changed(entry("a", seconds=1)) is None
    assert seen.changed(entry("a", "theirs", 1)) == Listed(entry("a", "theirs", 1), new=False)
    assert seen.changed(entry("a", seconds=3)) is None
    assert seen.changed(entry("a", seconds=2)) is not None  # that was somebody else, exactly like ours


def test_what_we_remove_is_passed_over_but_not_what_others_remove_later(seen: KnownEntries) -> None:
    seen.removing(ThreadId("a"))
    assert seen.removed(ThreadId("a")) is None
    seen.removing(ThreadId("b"))
    seen.writing(entry("b"))
    assert seen.changed(entry("b")) is None
    assert seen.removed(ThreadId("b")) == Unlisted(ThreadId("b"))


def test_after_a_lost_connection_the_difference_is_told(seen: KnownEntries) -> None:
    seen.writing(entry("mine"))
    seen.removing(ThreadId("gone"))
    told = seen.current([entry("a", "renamed"), entry("mine")])
    assert told == [Listed(entry("a", "renamed"), new=False)]
    assert seen.current([entry("new")]) == [Listed(entry("new"), new=True)]
    assert seen.ready() == [Unlisted(ThreadId("b"))]
    assert seen.current([entry("a", "renamed"), entry("mine"), entry("new")]) == []
    assert seen.ready() == []


def test_a_watch_that_broke_otherwise_begins_anew(seen: KnownEntries) -> None:
    seen.forget()
    assert seen.current([entry("z")]) == []
    assert seen.ready() == []
    assert seen.changed(entry("y")) == Listed(entry("y"), new=True)


def test_a_list_that_is_too_long_to_be_known_is_still_watched(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(known, "MAX_KNOWN", 3)
    seen = KnownEntries()
    for n in range(9):
        assert seen.current([entry(f"{n}")]) == []
    assert seen.ready() == []
    assert seen.changed(entry("0", "renamed")) == Listed(entry("0", "renamed"), new=False)
    assert seen.removed(ThreadId("1")) == Unlisted(ThreadId("1"))
    assert seen.current([entry("x")]) == []
    assert seen.ready() == []


def test_what_never_comes_back_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(known, "MAX_PATHS", 10)
    seen = KnownEntries()
    for number in range(50):
        for seconds in range(20):
            seen.writing(entry(f"{number}", seconds=seconds))
        seen.removing(ThreadId(f"r{number}"))
    assert len(seen._ours) == len(seen._removing) == 10
    assert {len(marks) for marks in seen._ours.values()} == {known.MAX_OURS}


def test_what_changed_last_is_remembered_as_the_watch_told_it(
    seen: KnownEntries, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(known, "MAX_RECENT", 2)
    assert seen.recent(ThreadId("a")) is None, "it was there and did not change"
    for path in ("a", "b", "c"):
        seen.changed(entry(path, "y"))
    assert [seen.recent(ThreadId(path)) for path in ("a", "b", "c")] == [
        None,
        entry("b", "y"),
        entry("c", "y"),
    ]
    seen.writing(entry("b", "ours"))
    assert seen.recent(ThreadId("b")) is None, "others may write meanwhile"
    seen.changed(entry("b", "theirs"))
    assert seen.recent(ThreadId("b")) == entry("b", "theirs")
    seen.removed(ThreadId("b"))
    seen.removing(ThreadId("c"))
    assert not [path for path in ("b", "c") if seen.recent(ThreadId(path))]


def test_what_changed_while_nobody_watched_is_not_taken_from_memory(seen: KnownEntries) -> None:
    for path in ("a", "b", "c"):
        seen.changed(entry(path))
    seen.current([entry("a", "y"), entry("b")])
    seen.ready()
    assert seen.recent(ThreadId("a")) == entry("a", "y")
    assert seen.recent(ThreadId("c")) is None, "it is gone"
    seen.unwatched()
    assert seen.recent(ThreadId("a")) is None
    seen.current([entry("a", "z")])
    seen.ready()
    assert seen.recent(ThreadId("a")) is None
