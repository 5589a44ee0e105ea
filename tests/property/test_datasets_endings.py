"""The end of a table and its last groups are those of a list, however it is spread over Lance and the log."""

from __future__ import annotations

import asyncio
import tempfile
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from process_agent.core.groups import EndFound, GroupsAsked
from process_agent.room_server.datasets import endings, ranges, requests
from process_agent.room_server.datasets.engine import Outcome
from process_agent.room_server.datasets.names import Place, TableKey
from process_agent.room_server.datasets.tables import Tables
from process_agent.room_server.toolkit import ToolError
from tests.fakes.grouped_datasets import beginning, picked

KEY = TableKey(Place(("a",)), "t")
FIELDS: list[Any] = [("place", pa.int64()), ("turn", pa.string()), ("kind", pa.string()), ("n", pa.int64())]
SCHEMA = pa.schema(FIELDS)
KINDS = [None, "asked", "said", "ended", "cleared"]

rows = st.lists(
    st.tuples(
        st.sampled_from([None, "a", "b", "c", "d", "e"]),
        st.sampled_from([*KINDS, "said", "said", "ended"]),
        st.none() | st.integers(0, 3),
    ),
    max_size=30,
)
asked = st.builds(
    GroupsAsked,
    columns=st.sampled_from([("place",), ("kind", "place", "turn")]),
    whole=st.sampled_from([0, 0, 5]),
    rows=st.integers(1, 12),
    group=st.just("turn"),
    kind=st.just("kind"),
    number=st.just("n"),
    wanted=st.sampled_from([(), ("cleared",), ("said", "cleared")]),
    over=st.sampled_from([(), ("ended",)]),
    latest=st.sampled_from([(), ("said",), ("said", "asked")]),
    greatest=st.sampled_from([(), ("n",), ("place", "n")]),
    groups=st.integers(0, 4),
    joining=st.sampled_from([(), ("asked",)]),
    cut=st.just("cleared"),
    first=st.integers(0, 5),
    most=st.integers(0, 40),
)


def made(inserted: list[tuple[str | None, str | None, int | None]]) -> list[dict[str, Any]]:
    """Numbers that mostly grow, as those of several writers do."""
    return [
        {
            "place": place,
            "turn": turn,
            "kind": kind,
            "n": None if behind is None else 10 * place - 13 * (behind // 3),
        }
        for place, (turn, kind, behind) in enumerate(inserted)
    ]


@given(rows, st.lists(st.integers(0, 30), max_size=4), st.booleans(), st.lists(asked, min_size=1, max_size=5))
@settings(max_examples=25)
def test_they_are_those_of_a_list(
    inserted: list[tuple[str | None, str | None, int | None]],
    folds: list[int],
    deleted: bool,
    questions: list[GroupsAsked],
) -> None:
    async def play(root: Path) -> None:
        tables, there = Tables(root), made(inserted)
        await tables.create(KEY, SCHEMA.empty_table(), "create")
        try:
            for start, end in zip([0, *sorted(folds)], [*sorted(folds), len(there)], strict=True):
                if some := there[start:end]:
                    await tables.insert(KEY, pa.Table.from_pylist(some, schema=SCHEMA))
                if end in folds[:2]:
                    await tables.open(KEY)
            if deleted:
                there = [row for row in there if row["place"] % 4 != 1]
                await tables.write(KEY, partial(_delete, tables))
            for each in questions:
                _check(await tables.rows(KEY, partial(endings.read_end, each)), each, there)
        finally:
            await tables.close()

    with tempfile.TemporaryDirectory() as folder, patch.object(endings, "BACK_FIRST", 3):
        asyncio.run(play(Path(folder)))


def _delete(tables: Tables, path: Path, label: str, *, watched: bool) -> Outcome:
    return tables.engine.delete(path, label, "place % 4 = 1", watched=watched)


def _check(found: EndFound, asked: GroupsAsked, there: list[dict[str, Any]]) -> None:
    total = len(there)
    assert found.total == total
    if total <= asked.whole:
        assert found.whole
        assert _places(found.rows) == [row["place"] for row in there]
        return
    assert (found.whole, found.first) == (False, max(0, total - asked.rows))
    tail = there[found.first :]
    assert _places(found.rows) == [tail[place]["place"] for place in picked(tail, asked)]
    assert (found.groups is None) == (asked.groups == 0)
    if found.groups is not None:
        # As far back as it went, which is as far as was asked if it had to.
        seen = max(asked.rows, asked.most)
        start, ordered, full, cut = beginning(there[-seen:], asked)
        start += max(0, total - seen)
        begin = found.groups
        if not (full or cut):
            assert begin.start <= max(0, total - asked.most)
        else:
            assert (begin.start, begin.ordered, begin.full, begin.cut) == (start, ordered, full, cut)
        shown = there[begin.start : begin.start + asked.first]
        assert _places(begin.rows) == [row["place"] for row in shown]


def _places(table: Any) -> list[int]:
    places: list[Any] = pa.table(table).column("place").to_pylist()
    return places


@pytest.mark.parametrize("most", [1, 300, 5_000])
async def test_rows_that_do_not_fit_are_left_to_be_read_by_their_place(tmp_path: Path, most: int) -> None:
    wide = pa.schema([*FIELDS, ("data", pa.large_string())])
    there = [{"place": n, "turn": f"t{n // 3}", "kind": "said", "n": n, "data": "x" * 100} for n in range(40)]
    question = GroupsAsked(("place", "data"), 20, 12, "turn", "kind", "n", groups=4, first=4, most=100)
    tables = Tables(tmp_path)
    try:
        await tables.create(KEY, wide.empty_table(), "create")
        await tables.insert(KEY, pa.Table.from_pylist(there, schema=wide))
        with patch.object(ranges, "MAX_BYTES", most):
            found = await tables.rows(KEY, partial(endings.read_end, question))
    finally:
        await tables.close()
    assert found.groups is not None
    assert found.groups.start == 30
    looked = {1: 1, 300: 1, 5_000: 12}[most]
    assert (_places(found.rows), found.first) == ([*range(40 - looked, 40)], 40 - looked)
    assert _places(found.groups.rows) == ([30, 31, 32, 33] if most == 5_000 else [])


FIELDS_ASKED: dict[str, Any] = {"columns": ["n"], "rows": 1, "group": "turn", "kind": "kind", "number": "n"}


@pytest.mark.parametrize(
    "wrong",
    [
        {"rows": 0},
        {"rows": ranges.MAX_ROWS + 1},
        {"most": requests.MAX_BACK + 1},
        {"groups": -1},
        {"columns": []},
        {"group": None},
        {"over": "ended"},
        {"cut": 1},
    ],
)
def test_what_makes_no_sense_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ToolError):
        requests.groups_of({**FIELDS_ASKED, **wrong})


async def test_columns_that_are_not_there_or_of_another_type_are_refused(tmp_path: Path) -> None:
    tables = Tables(tmp_path)
    try:
        await tables.create(KEY, SCHEMA.empty_table(), "create")
        await tables.insert(KEY, pa.Table.from_pylist([{"place": 1, "n": 1}], schema=SCHEMA))
        for wrong in (
            {"group": "m"},
            {"columns": ["m"]},
            {"kind": "n", "wanted": ["a"]},
            {"greatest": ["m"]},
            {"greatest": ["turn"]},
            {"number": "turn"},
            {"group": "n"},
        ):
            question = requests.groups_of({**FIELDS_ASKED, **wrong})
            with pytest.raises(ToolError):
                await tables.rows(KEY, partial(endings.answer, question))
    finally:
        await tables.close()


async def test_no_more_is_read_into_memory_than_columns_of_a_thread_need(tmp_path: Path) -> None:
    there = [{"place": n, "turn": "x" * 1_000, "kind": "said", "n": n} for n in range(40)]
    question = GroupsAsked(("place",), 0, 12, "turn", "kind", "n", groups=4, most=100)
    tables = Tables(tmp_path)
    try:
        await tables.create(KEY, SCHEMA.empty_table(), "create")
        await tables.insert(KEY, pa.Table.from_pylist(there, schema=SCHEMA))
        with patch.object(endings, "MAX_LOOKED_BYTES", 20_000), pytest.raises(ToolError, match="20000 bytes"):
            await tables.rows(KEY, partial(endings.read_end, question))
    finally:
        await tables.close()


async def test_texts_may_be_those_of_a_dictionary(tmp_path: Path) -> None:
    words = pa.dictionary(pa.int8(), pa.string())
    schema = pa.schema([("place", pa.int64()), ("turn", words), ("kind", words), ("n", pa.int64())])
    there = made([(turn, kind, 0) for turn in "abc" for kind in ("asked", "said", "ended")])
    question = GroupsAsked(
        ("place", "kind"),
        0,
        9,
        "turn",
        "kind",
        "n",
        over=("ended",),
        latest=("said",),
        groups=2,
        first=2,
        most=9,
    )
    tables = Tables(tmp_path)
    try:
        await tables.create(KEY, schema.empty_table(), "create")
        await tables.insert(KEY, pa.Table.from_pylist(there, schema=schema))
        _check(await tables.rows(KEY, partial(endings.read_end, question)), question, there)
    finally:
        await tables.close()
