"""The log of rows on disk: cut anywhere, damaged, refused by the disk."""

from __future__ import annotations

import asyncio
import os
import tempfile
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from process_agent.room_server.datasets import append_log, disk, log_records
from process_agent.room_server.datasets.append_log import AppendLog
from process_agent.room_server.datasets.disk import Disk
from process_agent.room_server.datasets.log_records import FOLDED, ROWS, Record, decode, encode
from process_agent.room_server.datasets.names import Place, TableKey
from process_agent.room_server.toolkit import ToolError

KEY = TableKey(Place(("a", "b.c")), 'd"')

keys = st.builds(
    lambda namespace, branch, name: TableKey(Place(tuple(namespace), branch), name),
    st.lists(st.text(max_size=5), max_size=3),
    st.text(max_size=5),
    st.text(max_size=5),
)
bodies = st.lists(
    st.tuples(st.sampled_from(sorted(log_records._KINDS)), keys, st.binary(max_size=40)), max_size=6
)


def written(found: list[tuple[bytes, TableKey, bytes]]) -> tuple[list[Record], list[bytes]]:
    records = [Record(kind, at, key, payload) for at, (kind, key, payload) in enumerate(found)]
    return records, [encode(record) for record in records]


@given(bodies, st.integers(0, 400))
def test_whole_records_are_read_up_to_where_the_file_is_cut(
    found: list[tuple[bytes, TableKey, bytes]], cut: int
) -> None:
    records, parts = written(found)
    data = b"".join(parts)
    read = list(decode(data[:cut]))
    whole = next((n for n in range(len(parts) + 1) if len(b"".join(parts[: n + 1])) > cut), len(parts))
    assert [record for _, record in read] == records[:whole]
    assert [end for end, _ in read] == [len(b"".join(parts[: n + 1])) for n in range(whole)]


@given(bodies.filter(bool), st.data())
def test_a_damaged_byte_ends_the_reading_before_its_record(
    found: list[tuple[bytes, TableKey, bytes]], data: st.DataObject
) -> None:
    records, parts = written(found)
    raw = bytearray(b"".join(parts))
    at = data.draw(st.integers(0, len(raw) - 1))
    raw[at] ^= data.draw(st.integers(1, 255))
    damaged = next(n for n in range(len(parts)) if len(b"".join(parts[: n + 1])) > at)
    assert [record for _, record in decode(bytes(raw))] == records[:damaged]


def test_records_of_an_earlier_life_do_not_follow() -> None:
    data = encode(Record(ROWS, 7, KEY, b"")) + encode(Record(ROWS, 3, KEY, b""))
    assert [record.position for _, record in decode(data)] == [7]
    assert list(decode(data, after=7)) == []


def files(folder: Path) -> list[Path]:
    return sorted(folder.iterdir())


@asynccontextmanager
async def opened(folder: Path) -> AsyncIterator[tuple[AppendLog, list[Record]]]:
    log = AppendLog(folder)
    found = list(log.read())
    try:
        yield log, found
    finally:
        await log.close(0)


async def test_what_is_answered_is_read_again_and_positions_go_on(tmp_path: Path) -> None:
    for life in range(3):
        async with opened(tmp_path) as (log, found):
            assert [record.payload for record in found] == [b"%d" % n for n in range(life * 4)]
            stored = [log.add(ROWS, KEY, b"%d" % n) for n in range(life * 4, life * 4 + 4)]
            await asyncio.gather(*(each for _, each in stored))
            assert [position for position, _ in stored] == list(range(life * 4 + 1, life * 4 + 5))


async def test_a_torn_end_is_cut_off_and_writing_goes_on(tmp_path: Path) -> None:
    async with opened(tmp_path) as (log, _):
        for n in range(3):
            await log.add(ROWS, KEY, b"%d" % n)[1]
    (file,) = files(tmp_path)
    whole = file.read_bytes()
    for size in range(len(whole)):
        for path in files(tmp_path):
            path.unlink()
        file.write_bytes(whole[:size])
        async with opened(tmp_path) as (log, found):
            kept = [record.payload for record in found]
            assert kept == [b"0", b"1", b"2"][: size * 3 // len(whole)]
            await log.add(ROWS, KEY, b"new")[1]
        async with opened(tmp_path) as (_, found):
            assert [record.payload for record in found] == [*kept, b"new"]


async def test_damage_in_the_middle_is_kept_aside_and_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(append_log, "FILE_BYTES", 1)
    async with opened(tmp_path) as (log, _):
        for n in range(3):
            await log.add(ROWS, KEY, b"%d" % n)[1]
    _, middle, _ = files(tmp_path)
    middle.write_bytes(middle.read_bytes()[:-1] + b"x")
    async with opened(tmp_path) as (_, found):
        assert [record.payload for record in found] == [b"0", b"2"]
    assert middle.with_suffix(".damaged").is_file()
    assert "damaged" in caplog.text


async def test_files_go_when_nobody_needs_them_oldest_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(append_log, "FILE_BYTES", 1)
    monkeypatch.setattr(append_log, "IDLE_BYTES", 1)
    async with opened(tmp_path) as (log, _):
        for _ in range(4):
            await log.add(ROWS, KEY, b"x")[1]
        for needed, left in ((1, 4), (2, 3), (4, 1), (5, 0)):
            await log.trim(needed)
            assert len(files(tmp_path)) == left
        assert log.disk_bytes == 0
        position, stored = log.add(ROWS, KEY, b"y")
        await stored
        assert position == 5
    async with opened(tmp_path) as (_, found):
        assert [record.payload for record in found] == [b"y"]


async def test_a_write_that_fails_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = os.write
    async with opened(tmp_path) as (log, _):
        await log.add(ROWS, KEY, b"before")[1]
        with monkeypatch.context() as broken:
            calls: list[int] = []

            def some(descriptor: int, data: bytes) -> int:
                calls.append(len(data))
                if len(calls) > 1:
                    raise OSError(28, "No space left on device")
                return write(descriptor, data[:10])

            broken.setattr(os, "write", some)
            with pytest.raises(ToolError, match="No space left"):
                await log.add(ROWS, KEY, b"refused")[1]
        await log.add(FOLDED, KEY, b"after")[1]
    async with opened(tmp_path) as (_, found):
        assert [record.payload for record in found] == [b"before", b"after"]


async def test_a_log_that_cannot_take_back_refuses_everything(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened(tmp_path) as (log, _):
        await log.add(ROWS, KEY, b"before")[1]
        with monkeypatch.context() as broken:

            def fail(*_: object) -> None:
                raise OSError(5, "Input/output error")

            broken.setattr(os, "fdatasync", fail)
            broken.setattr(os, "fsync", fail)
            with pytest.raises(ToolError):
                await log.add(ROWS, KEY, b"a")[1]
        with pytest.raises(ToolError, match="Input/output"):
            await log.add(ROWS, KEY, b"b")[1]


def test_names_of_new_folders_are_on_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[Path] = []
    monkeypatch.setattr(disk, "sync_folder", synced.append)
    Disk().make_folder(tmp_path / "room" / "log")
    assert synced == [tmp_path, tmp_path / "room"]
    Disk().make_folder(tmp_path / "room" / "log")
    assert len(synced) == 2


async def test_too_much_that_waits_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(append_log, "MAX_WAITING", 1_000)
    async with opened(tmp_path) as (log, _):
        stored = [log.add(ROWS, KEY, bytes(300))[1] for _ in range(2)]
        with pytest.raises(ToolError, match="keep up"):
            log.add(ROWS, KEY, bytes(600))
        await asyncio.gather(*stored)
        await log.add(ROWS, KEY, bytes(600))[1]


async def test_what_was_added_outlives_the_process_before_it_is_flushed(tmp_path: Path) -> None:
    async with opened(tmp_path) as (log, _):
        await log.add(ROWS, KEY, b"first")[1]
        _, stored = log.add(ROWS, KEY, b"second")
        (file,) = files(tmp_path)
        assert [record.payload for _, record in decode(file.read_bytes())] == [b"first", b"second"]
        assert not stored.done()
        await stored


async def test_a_flush_that_fails_takes_back_what_was_written_meanwhile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    flushing, go = threading.Event(), threading.Event()

    def fail(_: int) -> None:
        flushing.set()
        go.wait(10)
        raise OSError(28, "No space left on device")

    async with opened(tmp_path) as (log, _):
        await log.add(ROWS, KEY, b"before")[1]
        with monkeypatch.context() as broken:
            broken.setattr(os, "fdatasync", fail)
            first = log.add(ROWS, KEY, b"refused")[1]
            await asyncio.to_thread(flushing.wait, 10)
            second = log.add(ROWS, KEY, b"refused too")[1]
            go.set()
            for each in (first, second):
                with pytest.raises(ToolError, match="No space left"):
                    await each
        await log.add(ROWS, KEY, b"after")[1]
    async with opened(tmp_path) as (_, found):
        assert [record.payload for record in found] == [b"before", b"after"]


@given(st.lists(st.sampled_from(["add", "add", "add", "wait", "fail", "trim"]), max_size=30))
def test_what_is_read_again_is_what_was_answered(steps: list[str]) -> None:
    flush, refusals = os.fdatasync, iter([""])

    def sometimes(descriptor: int) -> None:
        if next(refusals, ""):
            raise OSError(5, "Input/output error")
        flush(descriptor)

    async def live(folder: Path) -> None:
        nonlocal refusals
        stored: list[asyncio.Future[None]] = []
        async with opened(folder) as (log, _):
            for step in steps:
                match step:
                    case "add":
                        stored.append(log.add(ROWS, KEY, b"%d" % len(stored))[1])
                    case "wait":
                        await asyncio.wait(stored) if stored else None
                    case "fail":
                        refusals = iter(["no"])
                    case _:
                        await log.trim(1)
            await asyncio.gather(*stored, return_exceptions=True)
        answered = [b"%d" % n for n, each in enumerate(stored) if each.exception() is None]
        async with opened(folder) as (_, found):
            assert [record.payload for record in found] == answered

    with pytest.MonkeyPatch.context() as patch, tempfile.TemporaryDirectory() as folder:
        patch.setattr(append_log, "FILE_BYTES", 150)
        patch.setattr(os, "fdatasync", sometimes)
        asyncio.run(live(Path(folder)))
