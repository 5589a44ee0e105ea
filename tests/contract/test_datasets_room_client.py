"""Dataset tables of the local room, used by the unmodified published client."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from meshagent.api.room_server_client import (
    DatasetExpression,
    DatasetIndexConfig,
    DatasetJson,
    DatasetOptimizeConfig,
    DatasetStruct,
    RoomException,
    SqlTableReference,
)

from process_agent.room_server.datasets.arrow import relabel, storage_field
from tests.fakes.room import LocalRoom, local_room

NAMESPACE = ["agents", "bot", "threads"]
MOMENT = datetime(2026, 1, 2, 3, 4, 5, 678901, UTC)


def schema_of(fields: list[Any], metadata: dict[str | bytes, str | bytes] | None = None) -> pa.Schema:
    return pa.schema(fields, metadata=metadata)


JSON: pa.DataType = pa.json_(pa.large_string())
ZSTD: dict[str | bytes, str | bytes] = {b"lance-encoding:compression": b"zstd"}

THREAD = schema_of(
    [
        pa.field("turn_id", pa.string()),
        pa.field("item_id", pa.string(), nullable=False),
        pa.field("type", pa.string()),
        pa.field("sequence", pa.int64(), nullable=False),
        pa.field("timestamp", pa.timestamp("us", "UTC"), nullable=False),
        pa.field("data", JSON, nullable=False, metadata=ZSTD),
        pa.field("attachment", pa.large_binary(), metadata=ZSTD),
    ]
)
INDEX = schema_of(
    [
        pa.field("path", pa.string(), nullable=False),
        pa.field("name", pa.string()),
        pa.field("created_at", pa.string()),
        pa.field("modified_at", pa.string()),
    ]
)


@pytest.fixture
async def room(tmp_path: Path) -> AsyncIterator[LocalRoom]:
    async with local_room(tmp_path) as running:
        yield running


@pytest.fixture
async def client(room: LocalRoom) -> AsyncIterator[Any]:
    async with room.client("bot", "agent") as entered:
        yield entered


def event(sequence: int, data: Any) -> dict[str, Any]:
    return {
        "turn_id": "t1",
        "item_id": f"i{sequence}",
        "type": "text",
        "sequence": sequence,
        "timestamp": MOMENT,
        "data": DatasetJson(data),
    }


async def test_the_thread_tables_of_the_reference_agent(client: Any) -> None:
    data = client.datasets
    assert await data.list_tables(namespace=NAMESPACE) == []
    with pytest.raises(RoomException, match="does not exist"):
        await data.search(table="thread", namespace=NAMESPACE)
    await data.create_table_with_schema(name="thread", schema=THREAD, namespace=NAMESPACE)
    await data.create_table_with_schema(name="index", schema=INDEX, namespace=NAMESPACE)
    assert await data.list_tables(namespace=NAMESPACE) == ["index", "thread"]
    assert (await data.inspect(table="thread", namespace=NAMESPACE)).equals(THREAD, check_metadata=True)
    await data.insert(table="thread", namespace=NAMESPACE, records=[event(n, {"n": n}) for n in range(3)])
    row = {
        "path": "dataset://agents/bot/threads/thread",
        "name": "New",
        "created_at": "a",
        "modified_at": "a",
    }
    for name in ("First", "Second"):
        await data.merge(table="index", on="path", namespace=NAMESPACE, records=[{**row, "name": name}])
    stored = await data.search(table="index", namespace=NAMESPACE, where={"path": row["path"]})
    assert stored.to_pylist() == [{**row, "name": "Second"}]
    items = await data.search(table="thread", namespace=NAMESPACE, offset=1, limit=1)
    assert items.schema.equals(THREAD, check_metadata=True)
    assert items.to_pylist() == [
        {**event(1, None), "data": '{"n": 1}', "attachment": None},
    ]
    stats = await data.stats(table="thread", namespace=NAMESPACE)
    assert stats.dataset["num_rows"] == 3
    assert await data.count(table="thread", namespace=NAMESPACE, where="sequence >= 1") == 2


async def test_json_text_is_kept_as_it_was(client: Any) -> None:
    text = '{"z":1.10,"a":1e400,"b":[null,"\\u00e9 \U0001f600"],"a":2}'
    schema = schema_of([("id", pa.string()), pa.field("data", JSON)])
    await client.datasets.create_table_with_schema(name="j", schema=schema)
    rows = pa.table({"id": ["1"], "data": pa.array([text], pa.large_string())})
    await client.datasets.insert(table="j", records=rows)
    found = await client.datasets.search(table="j")
    assert found.schema.field("data").type == JSON
    assert found["data"].combine_chunks().storage.to_pylist() == [text]


async def test_metadata_is_kept_byte_for_byte_at_any_depth(client: Any) -> None:
    inner = pa.field("q", JSON, metadata={b"deep": b"\xc3\xa9", b"b": b"2", b"a": b"1"})
    schema = schema_of(
        [
            pa.field("s", pa.struct([pa.field("l", pa.list_(pa.field("item", pa.struct([inner]))))])),
            pa.field("u", pa.uuid(), metadata={b"k": b""}),
            pa.field("plain", pa.int8(), metadata={b"one": b"1"}),
        ],
        metadata={b"z": b"last", b"a": b"first", b"m": b'{"x": 1}'},
    )
    await client.datasets.create_table_with_schema(name="m", schema=schema, metadata={"added": "yes"})
    expected = schema.with_metadata({**(schema.metadata or {}), b"added": b"yes"})
    assert (await client.datasets.inspect(table="m")).equals(expected, check_metadata=True)
    identity = uuid.uuid4()
    stored = schema_of([storage_field(field) for field in schema])
    row = {"s": {"l": [{"q": '{"x": 1.10}'}]}, "u": identity.bytes, "plain": 1}
    (batch,) = pa.Table.from_pylist([row], stored).to_batches()
    await client.datasets.insert(table="m", records=pa.Table.from_batches([relabel(batch, schema)]))
    found = await client.datasets.search(table="m", where={"u": identity})
    assert found.schema.equals(expected, check_metadata=True)
    assert found.to_pylist() == [{**row, "u": identity}]


async def test_rows_without_a_schema_and_typed_rows(client: Any) -> None:
    rows = [{"id": "a", "n": 1, "on": True}, {"id": "b", "n": None, "on": False}]
    await client.datasets.create_table_from_data(name="plain", data=rows)
    assert (await client.datasets.search(table="plain")).to_pylist() == rows
    typed = {
        "id": "x" * 10,
        "blob": b"\x00\xff",
        "when": MOMENT,
        "day": MOMENT.date(),
        "tags": ["a", "b"],
        "at": DatasetStruct({"x": 1.5}),
        "doc": DatasetJson({"k": [1]}),
        "uid": uuid.UUID(int=7),
    }
    await client.datasets.create_table_from_json_data(name="typed", data=[typed] * 300)
    assert await client.datasets.count(table="typed") == 300
    (first,) = (await client.datasets.search(table="typed", limit=1)).to_pylist()
    assert first == {**typed, "at": {"x": 1.5}, "doc": '{"k": [1]}'}
    for column in ("blob", "when", "day", "tags", "uid", "id"):
        found = await client.datasets.count(table="typed", where={column: typed[column]})
        assert found == 300, column


async def test_modes_of_creating(client: Any) -> None:
    data = client.datasets
    await data.create_table_from_data(name="t", data=[{"a": 1}])
    with pytest.raises(RoomException, match="already exists"):
        await data.create_table_from_data(name="t", data=[{"a": 2}])
    await data.create_table_from_data(name="t", data=[{"a": 2}], mode="create_if_not_exists")
    assert (await data.search(table="t")).to_pylist() == [{"a": 1}]
    await data.create_table_from_data(name="t", data=[{"b": "x"}], mode="overwrite")
    assert (await data.search(table="t")).to_pylist() == [{"b": "x"}]
    await data.rename_table(name="t", new_name="u")
    assert await data.list_tables() == ["u"]
    await data.drop_table(name="u")
    await data.drop_table(name="u", ignore_missing=True)
    with pytest.raises(RoomException, match="does not exist"):
        await data.drop_table(name="u")


async def test_missing_columns_are_filled_and_types_cast(client: Any) -> None:
    data = client.datasets
    await data.create_table_with_schema(name="thread", schema=THREAD)
    rows = pa.table(
        {
            "sequence": pa.array([5], pa.int32()),
            "data": ["{}"],
            "timestamp": pa.array([MOMENT], pa.timestamp("us", "UTC")),
            "item_id": pa.array(["i"], pa.large_string()),
        }
    )
    await data.insert(table="thread", records=rows)
    (row,) = (await data.search(table="thread")).to_pylist()
    assert row["sequence"] == 5
    assert row["turn_id"] is None
    with pytest.raises(RoomException, match="must not be null"):
        await data.insert(table="thread", records=rows.drop_columns(["item_id"]))
    with pytest.raises(RoomException, match="does not exist"):
        await data.insert(table="thread", records=pa.table({"nope": [1]}))
    assert await data.count(table="thread") == 1


async def test_update_delete_and_columns(client: Any) -> None:
    data = client.datasets
    await data.create_table_from_data(name="t", data=[{"id": f"i{n}", "n": n} for n in range(4)])
    await data.update(table="t", where="id = 'i1'", values={"n": 10})
    await data.update(table="t", where="n < 5", values={"n": DatasetExpression("n * 2")})
    await data.delete(table="t", where="id = 'i3'")
    await data.add_columns(table="t", new_columns={"twice": "n + n"})
    await data.add_columns(table="t", new_columns={"doc": pa.field("doc", JSON)})
    await data.update(table="t", where="id = 'i2'", values={"doc": DatasetJson({"a": "it's"})})
    rows = sorted((await data.search(table="t")).to_pylist(), key=lambda row: str(row["id"]))
    assert rows == [
        {"id": "i0", "n": 0, "twice": 0, "doc": None},
        {"id": "i1", "n": 10, "twice": 20, "doc": None},
        {"id": "i2", "n": 4, "twice": 8, "doc": '{"a": "it\'s"}'},
    ]
    await data.drop_columns(table="t", columns=["twice", "doc"])
    assert (await data.inspect(table="t")).names == ["id", "n"]


async def test_big_batches(client: Any) -> None:
    payload = "x" * 1000
    table = pa.table({"n": range(10_000), "text": [payload] * 10_000})
    await client.datasets.create_table_from_data(name="big", data=table)
    sizes: list[int] = []
    numbers: list[int] = []
    async for part in client.datasets.search_stream(table="big"):
        sizes.append(part.nbytes)
        numbers.extend(part["n"].to_pylist())
    assert numbers == list(range(10_000))
    assert max(sizes) <= 1024 * 1024
    tail = await client.datasets.search(table="big", offset=9_990, limit=100, select=["n"])
    assert tail.to_pylist() == [{"n": n} for n in range(9_990, 10_000)]


async def test_versions(client: Any) -> None:
    data = client.datasets
    await data.create_table_from_data(name="t", data=[{"n": 1}])
    (first,) = await data.list_versions(table="t")
    assert abs((datetime.now(UTC) - first.timestamp.astimezone(UTC)).total_seconds()) < 60
    await data.insert(table="t", records=[{"n": 2}])
    await data.delete(table="t", where="n = 1")
    assert (await data.search(table="t", version=first.version)).to_pylist() == [{"n": 1}]
    assert await data.count(table="t", version=first.version + 1) == 2
    await data.restore(table="t", version=first.version)
    assert (await data.search(table="t")).to_pylist() == [{"n": 1}]
    assert [v.version for v in await data.list_versions(table="t")] == [1, 2, 3, 4]
    with pytest.raises(RoomException, match="version 99"):
        await data.search(table="t", version=99)


async def test_branches(client: Any) -> None:
    data = client.datasets
    await data.create_table_from_data(name="t", data=[{"n": 1}], namespace=["a", "b"])
    await data.create_branch(branch="exp", namespace=["a"])
    inner = {"namespace": ["a", "b"], "branch": "exp"}
    await data.insert(table="t", records=[{"n": 2}], **inner)
    await data.create_table_from_data(name="new", data=[{"n": 9}], **inner)
    assert await data.list_tables(**inner) == ["new", "t"]
    assert await data.list_tables(namespace=["a", "b"]) == ["t"]
    assert await data.count(table="t", **inner) == 2
    await data.drop_table(name="t", namespace=["a", "b"])
    assert (await data.search(table="t", **inner)).to_pylist() == [{"n": 1}, {"n": 2}]
    names = [(b.name, b.parent_branch) for b in await data.list_branches(namespace=["a", "b"])]
    assert names == [("main", None), ("exp", "main")]
    await data.create_branch(branch="more", from_branch="exp", namespace=["a", "b"])
    await data.delete_branch(branch="exp", namespace=["a"])
    with pytest.raises(RoomException, match="does not exist"):
        await data.search(table="t", **inner)
    assert await data.count(table="t", namespace=["a", "b"], branch="more") == 2
    with pytest.raises(RoomException, match="branch 'nope' does not exist"):
        await data.create_table_from_data(name="x", data=[{"n": 1}], branch="nope")
    with pytest.raises(RoomException, match="already exists"):
        await data.create_branch(branch="main")


async def test_sql(client: Any) -> None:
    data = client.datasets
    rows = [{"id": f"i{n}", "n": n, "doc": DatasetJson({"k": n})} for n in range(5)]
    schema = schema_of([("id", pa.string()), ("n", pa.int64()), ("doc", JSON)])
    await data.create_table_with_schema(name="words", schema=schema, data=rows, namespace=["x"])
    await data.create_table_from_data(name="right", data=[{"id": "i3", "word": "three"}])
    joined = await data.sql(
        query="SELECT l.n, r.word, l.doc->>'$.k' AS k FROM l JOIN r USING (id) WHERE n < $most",
        tables=[
            SqlTableReference(name="words", namespace=["x"], alias="l"),
            SqlTableReference(name="right", alias="r"),
        ],
        params=pa.table({"most": [10]}),
    )
    assert joined.to_pylist() == [{"n": 3, "word": "three", "k": "3"}]
    changed = await data.execute_sql_statement(
        query="UPDATE words SET n = n + 100 WHERE n >= $1",
        tables=["words"],
        params=pa.table({"1": [3]}),
        namespace=["x"],
    )
    assert changed == 2
    result = await data.execute_sql(
        query="INSERT INTO words (id, n) VALUES ('new', 7)", tables=["words"], namespace=["x"]
    )
    assert result.rows_affected == 1
    assert await data.count(table="words", namespace=["x"], where="n > 100 OR id = 'new'") == 3
    assert (await data.inspect(table="words", namespace=["x"])).equals(schema, check_metadata=True)
    empty = await data.sql(query="SELECT id FROM words WHERE false", tables=["words"], namespace=["x"])
    assert (empty.num_rows, empty.column_names) == (0, ["id"])
    opened = await data.open_sql_query(query="SELECT 1 AS one")
    assert (await data.cancel_sql_query(query_id=opened.query_id)).status == "cancelled"
    assert (await data.cancel_sql_query(query_id=opened.query_id)).status == "not_cancellable"
    await data.close_sql_query(query_id=opened.query_id)


async def test_indexes_text_vectors_and_optimize(client: Any) -> None:
    data = client.datasets
    schema = schema_of([("id", pa.int64()), ("text", pa.string()), ("v", pa.list_(pa.float32(), 2))])
    texts = ["A red fox", "a blue whale", "Two foxes"]
    rows = pa.table({"id": range(3), "text": texts, "v": [[0.0, 0.0], [1.0, 1.0], [5.0, 5.0]]}, schema=schema)
    await data.create_table_from_data(name="t", data=rows)
    assert [r["id"] for r in (await data.search(table="t", text="RED")).to_pylist()] == [0]
    near = await data.search(table="t", vector=[0.9, 0.9], limit=2, where="id <> 0")
    assert [r["id"] for r in near.to_pylist()] == [1, 2]
    await data.create_index(table="t", config=DatasetIndexConfig(column="id", index_type="BTREE"))
    await data.create_index(table="t", config=DatasetIndexConfig(column="text", index_type="INVERTED"))
    assert {i.name: i.columns for i in await data.list_indexes(table="t")} == {
        "id_idx": ["id"],
        "text_idx": ["text"],
    }
    assert {r["id"] for r in (await data.search(table="t", text="fox")).to_pylist()} == {0, 2}
    assert await data.count(table="t", text="fox") == 2
    await data.drop_index(table="t", name="id_idx")
    for n in range(5):
        await data.insert(table="t", records=[{"id": 10 + n, "text": "more", "v": [1.0, 2.0]}])
    config = DatasetOptimizeConfig(cleanup_old_versions=True, retain_versions=1)
    result = await data.optimize(table="t", config=config)
    assert result.compaction is not None
    assert result.compaction["fragments_removed"] >= 5
    assert result.cleanup is not None
    assert await data.count(table="t") == 8
