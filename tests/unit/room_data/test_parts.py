"""Small parts of the room's data: watches, tiers, logs, links, rights."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from process_agent.room_server import storage_grants
from process_agent.room_server.datasets import sql_child, sql_wire, upkeep, watch
from process_agent.room_server.datasets.catalog import Catalog
from process_agent.room_server.datasets.durable import mend
from process_agent.room_server.datasets.engine import Change, Engine, Outcome, last_of_each_key
from process_agent.room_server.datasets.names import Place, TableKey
from process_agent.room_server.datasets.reading import read_all
from process_agent.room_server.storage import StorageToolkit
from process_agent.room_server.sync_document import Document, Opener
from process_agent.room_server.sync_log import Log
from process_agent.room_server.toolkit import Content, ToolError
from tests.fakes.room_tools import CALLER, Stream, call


def outcome(*rows: int, change: str = "inserted") -> Outcome:
    return Outcome(1, 2, len(rows), (Change(change, pa.table({"n": list(rows)})),))


async def test_a_watch_gets_every_change_then_the_end() -> None:
    feed = watch.Feed()
    seen = feed.join()
    feed.publish(outcome(1))
    feed.publish(outcome(2, change="deleted"))
    feed.publish(outcome())
    feed.fail(ToolError("gone"))
    events = [await seen.next(), await seen.next()]
    assert [(e.change_type, e.rows["n"].to_pylist()) for e in events if e] == [
        ("inserted", [1]),
        ("deleted", [2]),
    ]
    with pytest.raises(ToolError, match="gone"):
        await seen.next()


async def test_a_watch_that_is_not_read_ends_instead_of_growing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "MAX_WAITING", 10)
    feed = watch.Feed()
    slow, fast = feed.join(), feed.join()
    for n in range(11):
        feed.publish(outcome(n))
        assert await fast.next() is not None
    with pytest.raises(ToolError, match="too far behind"):
        await slow.next()


async def test_a_closed_watch_wakes_its_reader() -> None:
    seen = watch.Feed().join()
    async with asyncio.TaskGroup() as group:
        reading = group.create_task(seen.next())
        seen.close()
    assert reading.result() is None


def test_tiers_fold_only_when_they_are_full() -> None:
    assert upkeep.full_tiers([3] * 31) == []
    assert upkeep.full_tiers([3] * 32) == [1_024]
    assert upkeep.full_tiers([2_000] * 32 + [3] * 5) == [32_768]
    assert upkeep.full_tiers([2_000_000] * 100) == []


@given(st.lists(st.tuples(st.none() | st.integers(0, 5), st.integers(0, 99)), max_size=20))
def test_of_equal_keys_the_last_stays(rows: list[tuple[int | None, int]]) -> None:
    table = pa.table({"k": pa.array([k for k, _ in rows], pa.int64()), "v": pa.array([v for _, v in rows])})
    found = [(row["k"], row["v"]) for row in last_of_each_key(table, "k").to_pylist()]
    last = dict(rows)
    assert [pair for pair in found if pair[0] is None] == [pair for pair in rows if pair[0] is None]
    assert {k: v for k, v in found if k is not None} == {k: v for k, v in last.items() if k is not None}


@pytest.mark.parametrize("torn", ["_versions/*.manifest", "data/*.lance"])
def test_a_torn_file_costs_one_version_not_the_table(tmp_path: Path, torn: str) -> None:
    catalog = Catalog(tmp_path)
    catalog.start()
    key = TableKey(Place(("a",)), "t")
    path, rows = key.path(tmp_path), pa.table({"n": [1]})
    path.parent.mkdir(parents=True)
    Engine().create(path, rows)
    before = set(path.glob(torn))
    Engine().insert(path, "t", rows, watched=False)
    (newest,) = set(path.glob(torn)) - before
    newest.write_bytes(newest.read_bytes()[:-10])
    (tmp_path / ".boot").write_text("another start of the machine")
    catalog.start()
    mend(path)
    assert read_all(Engine().open(path, "t")).to_pylist() == [{"n": 1}]
    Engine().insert(path, "t", rows, watched=False)
    assert Engine().open(path, "t").count_rows() == 2


@given(st.lists(st.tuples(st.sampled_from([b"a", b"q"]), st.binary(max_size=50))), st.integers(1, 9))
def test_frames_arrive_whole_however_they_are_cut(frames: list[tuple[bytes, bytes]], step: int) -> None:
    stream = b"".join(sql_wire.frame(kind, payload) for kind, payload in frames)
    reader, found = sql_wire.Frames(), []
    for start in range(0, len(stream), step):
        reader.feed(stream[start : start + step])
        while (whole := reader.next()) is not None:
            found.append(whole)
    assert found == frames


@pytest.mark.parametrize(
    ("query", "target"),
    [
        ("UPDATE t SET a = 1", "t"),
        ('update "Some ""Name" set a = 1', 'Some "Name'),
        ("INSERT INTO t SELECT * FROM u", "t"),
        ("DELETE /* from x */ FROM t WHERE a IN (SELECT a FROM u)", "t"),
        ("WITH u AS (SELECT 1 AS a FROM v) DELETE FROM t USING u", "t"),
    ],
)
def test_the_table_a_statement_changes(query: str, target: str) -> None:
    assert sql_child.target_of(query) == target


def test_a_document_log_survives_a_torn_end(tmp_path: Path) -> None:
    log = Log(tmp_path, "a/b")
    assert log.read() is None
    log.write({"s": 1}, [b"one"])
    log.append([b"two", b""])
    (file,) = tmp_path.glob("*.ydoc")
    whole = file.read_bytes()
    for size in range(len(whole)):
        file.write_bytes(whole[:size])
        stored = log.read()
        assert stored is None or stored.updates in ([], [b"one"], [b"one", b"two"], [b"one", b"two", b""])
    file.write_bytes(whole)
    stored = log.read()
    assert stored is not None
    assert (stored.schema, stored.updates) == ({"s": 1}, [b"one", b"two", b""])


@given(st.binary(max_size=60))
def test_hostile_document_updates_are_refused(data: bytes) -> None:
    import base64

    document, opener = Document("x", {}, None), Opener(read_only=False)
    document.openers.add(opener)
    try:
        document.apply(base64.b64encode(data), opener)
    except ToolError:
        assert len(document.state(None)) == 2
    with pytest.raises(ToolError):
        document.apply(b"not base64!", opener)
    with pytest.raises(ToolError):
        document.state("no vector")


async def test_links_expire_and_are_bound_to_path_and_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def announce(kind: str, header: dict[str, Any]) -> None:
        announced.append(kind)

    announced: list[str] = []
    storage = StorageToolkit(tmp_path, announce, public_url=lambda: "http://room")
    async with Stream(storage, "upload", CALLER) as upload:
        upload.push({"kind": "start", "path": "a", "overwrite": False, "size": 2})
        await upload.take()
        upload.push({"kind": "data"}, b"ab")
        await upload.take()
        upload.close()
        assert (await upload.take()).type == "control"
    assert announced == ["storage.file.updated"]
    url = (await call(storage, "download_url", path="a")).json["url"]
    path, _, query = url.removeprefix("http://room/").partition("?")
    fields = dict(part.split("=") for part in query.split("&"))
    found = await storage.open_signed(path, fields["expires"], fields["signature"])
    assert (found.file.read(), found.size) == (b"ab", 2)
    found.file.close()
    for wrong in (
        ("b", fields["expires"]),
        ("a", str(int(fields["expires"]) + 1)),
        ("a", "x"),
        ("../a", "1"),
    ):
        with pytest.raises(ToolError, match="not valid"):
            await storage.open_signed(wrong[0], wrong[1], fields["signature"])
    monkeypatch.setattr("time.time", lambda: int(fields["expires"]) + 1)
    with pytest.raises(ToolError, match="expired"):
        await storage.open_signed("a", fields["expires"], fields["signature"])


RULES = {
    "files": {
        "paths": [
            {
                "path": "docs",
                "recursive": True,
                "actions": ["list", "read"],
                "excluded_paths": ["docs/secret"],
            },
            {"path": "inbox", "recursive": False, "actions": ["list"]},
            {"path": "out", "recursive": True, "actions": ["write", "delete"]},
        ]
    }
}


@pytest.mark.parametrize(
    ("action", "path", "subtree", "allowed"),
    [
        ("read", "docs/a", False, True),
        ("read", "docs/secret/a", False, False),
        ("read", "docs", True, False),
        ("read", "docsx", False, False),
        ("write", "docs/a", False, False),
        ("list", "inbox", False, True),
        ("list", "inbox/a", False, False),
        ("delete", "out", True, True),
        ("presign", "docs/a", False, False),
    ],
)
def test_file_rules(action: storage_grants.Action, path: str, subtree: bool, allowed: bool) -> None:
    assert storage_grants.allows(RULES, action, path, subtree=subtree) is allowed


def test_contents_of_the_wrong_kind_are_refused() -> None:
    with pytest.raises(ToolError):
        storage_grants.require(CALLER.__class__("p", "n", "user", "r", {"messaging": {}}), "read", "a")
    with pytest.raises(ToolError):
        _ = Content({"type": "text", "text": "x"}).json
