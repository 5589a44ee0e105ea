"""Rows that are there twice: whatever was doubled, each is there once, and nothing that is said is gone."""

from __future__ import annotations

import json
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from process_agent.threads.kept.doubled import single
from process_agent.threads.kept.rows import StoredRow

rows = st.builds(
    StoredRow,
    turn_id=st.sampled_from(["u1", None]),
    item_id=st.sampled_from(["a", "b"]),
    type=st.sampled_from(["x", "y"]),
    sequence=st.integers(0, 5),
    timestamp=st.integers(0, 9),
    data=st.dictionaries(st.sampled_from("pq"), st.integers(0, 2)).map(json.dumps),
    attachment=st.sampled_from([None, b"sound"]),
)
threads = st.lists(rows, max_size=8, unique_by=lambda row: row.sequence)


@given(threads, st.data())
def test_copies_go_and_the_thread_is_as_it_was(thread: list[StoredRow], data: st.DataObject) -> None:
    copies = data.draw(st.lists(st.sampled_from(thread), max_size=8)) if thread else []
    later = [replace(copy, timestamp=copy.timestamp + 1) for copy in copies]
    found = single([*thread, *later])
    assert found.rows == sorted(thread, key=lambda row: row.sequence)
    assert (found.doubled, found.differing) == (len(copies), 0)


@given(st.lists(rows, max_size=12))
def test_nothing_that_is_said_is_lost(thread: list[StoredRow]) -> None:
    def said(each: list[StoredRow]) -> set[tuple[object, ...]]:
        return {(r.sequence, r.turn_id, r.item_id, r.type, r.data, r.attachment) for r in each}

    found = single(thread)
    assert len(found.rows) + found.doubled == len(thread)
    assert {row[:4] for row in said(found.rows)} == {row[:4] for row in said(thread)}
    assert found.differing == len(found.rows) - len({row.sequence for row in thread})
    again = single(found.rows)
    assert (again.rows, again.doubled) == (found.rows, 0)


def test_what_is_equal_as_json_is_the_same() -> None:
    one = StoredRow("u", "a", "x", 1, 0, '{"p": 1, "q": 2}')
    assert single([one, replace(one, data='{"q":2,"p":1}')]).doubled == 1
    assert single([one, replace(one, data="no JSON")]).differing == 1
