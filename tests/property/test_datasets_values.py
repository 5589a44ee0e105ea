"""Typed values: out of JSON, into Arrow, and through the SQL engine inside Lance."""

from __future__ import annotations

import base64
import json
import math
import uuid
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from process_agent.room_server.datasets import arrow, values
from process_agent.room_server.datasets.engine import Engine
from process_agent.room_server.datasets.reading import read_all
from process_agent.room_server.toolkit import ToolError

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
moments = st.datetimes(datetime(1700, 1, 1), datetime(2200, 1, 1), timezones=st.just(UTC))
floats = st.floats(allow_nan=False)

COLUMNS: dict[str, tuple[pa.DataType, st.SearchStrategy[Any]]] = {
    "text": (pa.string(), texts),
    "whole": (pa.int64(), st.integers(-(2**63), 2**63 - 1)),
    "tiny": (pa.int8(), st.integers(-128, 127)),
    "real": (pa.float64(), floats),
    "truth": (pa.bool_(), st.booleans()),
    "blob": (pa.binary(), st.binary(max_size=20)),
    "when": (pa.timestamp("us", "UTC"), moments),
    "local": (pa.timestamp("us"), moments.map(lambda m: m.replace(tzinfo=None))),
    "day": (pa.date32(), st.dates(date(1, 1, 1), date(9999, 12, 31))),
    "identity": (pa.uuid(), st.uuids()),
    "document": (pa.json_(pa.large_string()), st.recursive(st.none() | st.integers() | texts, st.lists)),
    "words": (pa.list_(pa.string()), st.lists(st.none() | texts, max_size=4)),
    "numbers": (pa.list_(pa.int64()), st.lists(st.none() | st.integers(-(2**63), 2**63 - 1), max_size=4)),
    "place": (
        pa.struct([("x", pa.float64()), ("names", pa.list_(pa.string()))]),
        st.fixed_dictionaries({"x": st.none() | floats, "names": st.none() | st.lists(texts, max_size=3)}),
    ),
}
SCHEMA = pa.schema([(name, kind) for name, (kind, _) in COLUMNS.items()])


def wrapped(value: Any, kind: pa.DataType | None = None) -> Any:
    """The JSON form a client sends."""
    if kind is not None and kind == COLUMNS["document"][0]:
        return {"json": value}
    match value:
        case bytes():
            return {"binary": base64.b64encode(value).decode()}
        case uuid.UUID():
            return {"uuid": str(value)}
        case datetime():
            return {"timestamp": value.isoformat().replace("+00:00", "Z")}
        case date():
            return {"date": value.isoformat()}
        case list():
            return {"list": [wrapped(item) for item in value]}
        case dict():
            return {"struct": {key: wrapped(item) for key, item in value.items()}}
    return value


def expected(value: Any, kind: pa.DataType) -> Any:
    return json.dumps(value, ensure_ascii=False) if kind == COLUMNS["document"][0] else value


rows = st.fixed_dictionaries({name: values_ for name, (_, values_) in COLUMNS.items()})


@given(rows)
def test_typed_rows_become_arrow_rows(row: dict[str, Any]) -> None:
    sent = json.loads(json.dumps({n: wrapped(v, COLUMNS[n][0]) for n, v in row.items()}))
    table = values.rows_to_table([{n: values.decode_value(v) for n, v in sent.items()}], SCHEMA)
    assert table.schema.equals(SCHEMA)
    assert table.to_pylist() == [{n: expected(v, COLUMNS[n][0]) for n, v in row.items()}]


@given(st.lists(rows, min_size=1, max_size=3))
def test_types_come_from_the_values(found: list[dict[str, Any]]) -> None:
    names = ("text", "whole", "real", "truth", "blob", "when", "day", "identity", "document")
    decoded = [{n: values.decode_value(wrapped(row[n], COLUMNS[n][0])) for n in names} for row in found]
    table = values.rows_to_table(decoded)
    assert {n: table.schema.field(n).type for n in names} == {n: COLUMNS[n][0] for n in names}


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> tuple[Engine, Path]:
    """A table with one row of nulls, updated again and again."""
    path = tmp_path_factory.mktemp("values") / "t"
    engine = Engine()
    row = pa.Table.from_pylist([{"text": "start"}], pa.schema([arrow.storage_field(f) for f in SCHEMA]))
    engine.create(path, arrow.to_physical(row, SCHEMA))
    return engine, path


@settings(max_examples=30)
@given(row=rows)
def test_updates_store_exactly_the_value(stored: tuple[Engine, Path], row: dict[str, Any]) -> None:
    engine, path = stored
    assignments = {n: values.decode_value(wrapped(v, COLUMNS[n][0])) for n, v in row.items()}
    outcome = engine.update(path, "t", "true", assignments, watched=True)
    assert outcome.rows == 1
    wanted = {n: expected(v, COLUMNS[n][0]) for n, v in row.items()}
    assert read_all(engine.open(path, "t")).to_pylist() == [wanted]
    assert outcome.changes[0].rows.to_pylist() == [wanted]


@settings(max_examples=30)
@given(text=texts)
def test_a_condition_with_any_text_finds_it(stored: tuple[Engine, Path], text: str) -> None:
    engine, path = stored
    engine.update(path, "t", "true", {"text": text}, watched=False)
    dataset = engine.open(path, "t")
    assert read_all(dataset, f"text = {values.quote(text)}").num_rows == 1
    assert engine.delete(path, "t", f"text <> {values.quote(text)}", watched=False).rows == 0


NO_VALUES: list[Any] = [
    *([1], {}, {"a": 1, "b": 2}, {"nope": 1}, {"binary": "!"}, {"uuid": "x"}, {"date": "x"}),
    *({"date": 1}, {"list": {}}, {"struct": []}, {"timestamp": "x"}, {"list": [[1]]}),
]


@pytest.mark.parametrize("raw", NO_VALUES)
def test_what_is_no_value_is_refused(raw: Any) -> None:
    with pytest.raises(ToolError):
        values.decode_value(raw)


def test_deep_values_are_refused() -> None:
    raw: Any = 1
    for _ in range(100):
        raw = {"list": [raw]}
    with pytest.raises(ToolError, match="nest"):
        values.decode_value(raw)


def test_mixed_columns() -> None:
    table = values.rows_to_table([{"n": 1}, {"n": None}, {"n": 2.5}])
    assert table.to_pylist() == [{"n": 1.0}, {"n": None}, {"n": 2.5}]
    with pytest.raises(ToolError, match="both"):
        values.rows_to_table([{"n": 1}, {"n": "x"}])
    with pytest.raises(ToolError):
        values.rows_to_table([{"n": values.Expression("1")}])


def test_numbers_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ToolError, match="fit"):
        values.sql_literal(128, pa.int8())
    assert values.sql_literal(math.inf, pa.float64()) == "'inf'"
