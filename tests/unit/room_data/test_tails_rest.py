"""When the tail of a table is folded: nobody who waits for an answer is made to wait for it."""

from __future__ import annotations

from pathlib import Path

from process_agent.room_server.datasets.names import Place, TableKey
from process_agent.room_server.datasets.tails import (
    AGE_SECONDS,
    FOLD_ROWS,
    IDLE_SECONDS,
    REST_SECONDS,
    Tail,
    Tails,
)

KEY = TableKey(Place(("agents",)), "t")


def tails(tmp_path: Path, tail: Tail, *, rows_came: float) -> Tails:
    made = Tails(tmp_path)
    made._tails[KEY] = tail
    made._added = rows_came
    return made


def test_a_tail_left_alone_is_folded_when_the_room_is_at_rest(tmp_path: Path) -> None:
    made = tails(tmp_path, Tail(since=0.0, touched=0.0), rows_came=IDLE_SECONDS)
    assert made.due(IDLE_SECONDS + REST_SECONDS / 2) == []
    assert not made.is_due(KEY, IDLE_SECONDS + REST_SECONDS / 2)
    assert made.due(IDLE_SECONDS + 2 * REST_SECONDS) == [KEY]
    assert made.is_due(KEY, IDLE_SECONDS + 2 * REST_SECONDS)


def test_an_old_one_is_folded_however_busy_the_room_is(tmp_path: Path) -> None:
    made = tails(tmp_path, Tail(since=0.0, touched=0.0), rows_came=AGE_SECONDS)
    assert made.due(AGE_SECONDS) == [KEY]


def test_a_full_one_is_folded_at_once_unless_it_just_failed(tmp_path: Path) -> None:
    full = Tail(since=1.0, touched=1.0, rows=FOLD_ROWS)
    assert tails(tmp_path, full, rows_came=1.0).due(1.0) == [KEY]
    full.retry = 2.0
    assert tails(tmp_path, full, rows_came=1.0).due(1.0) == []
