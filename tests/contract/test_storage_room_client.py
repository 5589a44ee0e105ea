"""Files of the local room, used by the unmodified published client."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from meshagent.api.room_server_client import RoomException

from tests.fakes.room import LocalRoom, local_room

MEBIBYTE = 1024 * 1024


@pytest.fixture
async def room(tmp_path: Path) -> AsyncIterator[LocalRoom]:
    async with local_room(tmp_path) as running:
        yield running


@pytest.fixture
async def client(room: LocalRoom) -> AsyncIterator[Any]:
    async with room.client("bot", "agent") as entered:
        yield entered


@pytest.mark.parametrize("size", [0, 1, 65_536, 65_537, 10 * MEBIBYTE])
async def test_files_come_back_as_they_were(client: Any, size: int) -> None:
    data = random.Random(size).randbytes(size)
    await client.storage.upload(path="a/b.bin", data=data)
    found = await client.storage.download(path="/a/b.bin")
    assert found.data == data
    assert (found.name, found.mime_type) == ("b.bin", "application/octet-stream")
    entry = await client.storage.stat(path="a/b.bin")
    assert (entry.name, entry.is_folder, entry.size) == ("b.bin", False, size)
    assert abs((datetime.now(UTC) - entry.updated_at).total_seconds()) < 60


async def test_folders_are_listed_and_missing_ones_are_empty(client: Any) -> None:
    assert await client.storage.list(path=".schemas") == []
    for path in ("x/one.txt", "x/two.md", "x/deep/er/three", "top"):
        await client.storage.upload(path=path, data=b"abc")
    assert [(e.name, e.is_folder, e.size) for e in await client.storage.list(path="./x/")] == [
        ("deep", True, None),
        ("one.txt", False, 3),
        ("two.md", False, 3),
    ]
    assert [e.name for e in await client.storage.list(path="")] == ["top", "x"]
    assert await client.storage.exists(path="x/deep")
    assert not await client.storage.exists(path="x/shallow")
    assert await client.storage.stat(path="nothing") is None
    assert (await client.storage.download(path="x/one.txt")).mime_type == "text/plain"


async def test_changes_are_announced_to_everybody(room: LocalRoom, client: Any) -> None:
    async with room.client("ann") as ann:
        seen: asyncio.Queue[tuple[str, dict[str, str]]] = asyncio.Queue()
        for kind in ("file.updated", "file.moved", "file.deleted"):
            ann.storage.on(kind, lambda kind=kind, **fields: seen.put_nowait((kind, fields)))
        me = {"participant_id": client.local_participant.id}
        await client.storage.upload(path="/a.txt", data=b"1")
        await client.storage.move(source_path="a.txt", destination_path="b/c.txt")
        await client.storage.delete("b", recursive=True)
        assert [await seen.get() for _ in range(3)] == [
            ("file.updated", {"path": "a.txt", **me}),
            ("file.moved", {"source_path": "a.txt", "destination_path": "b/c.txt", **me}),
            ("file.deleted", {"path": "b", **me}),
        ]


async def test_nothing_is_replaced_or_removed_by_mistake(client: Any) -> None:
    storage = client.storage
    await storage.upload(path="d/a", data=b"first")
    await storage.upload(path="d/b", data=b"other")
    refusals = [
        (storage.upload(path="d/a", data=b"second"), 3005),
        (storage.upload(path="d", data=b"x", overwrite=True), 3005),
        (storage.upload(path="d/a/below", data=b"x"), 3004),
        (storage.move(source_path="d/a", destination_path="d/b"), 3005),
        (storage.move(source_path="d", destination_path="d/e"), 3004),
        (storage.move(source_path="none", destination_path="x"), 3001),
        (storage.delete("d"), 3002),
        (storage.delete("none"), 3001),
        (storage.delete(""), 3004),
        (storage.download(path="none"), 3001),
        (storage.download(path="d"), 3001),
    ]
    for refused, code in refusals:
        with pytest.raises(RoomException) as caught:
            await refused
        assert caught.value.code == code, caught.value
    assert (await storage.download(path="d/a")).data == b"first"
    await storage.upload(path="d/a", data=b"second", overwrite=True)
    await storage.move(source_path="d/a", destination_path="d/b", overwrite=True)
    assert (await storage.download(path="d/b")).data == b"second"
    assert [e.name for e in await storage.list(path="d")] == ["b"]


@pytest.mark.parametrize("path", ["../up", "a/../../up", "a/..", "a\\b", "nul\x00", "line\nbreak", "x" * 300])
async def test_paths_stay_inside(room: LocalRoom, client: Any, path: str) -> None:
    for attempt in (
        client.storage.upload(path=path, data=b"x"),
        client.storage.download(path=path),
        client.storage.delete(path),
        client.storage.move(source_path=path, destination_path="y"),
        client.storage.list(path=path),
    ):
        with pytest.raises(RoomException) as caught:
            await attempt
        assert caught.value.code == 3004
    assert not list(room.paths.root.rglob("up"))


async def test_symbolic_links_lead_nowhere(room: LocalRoom, client: Any, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("no")
    await client.storage.upload(path="a", data=b"x")
    files = room.paths.rooms / "demo" / "storage" / "files"
    (files / "link").symlink_to(tmp_path / "secret")
    (files / "out").symlink_to(tmp_path)
    assert [e.name for e in await client.storage.list(path="")] == ["a"]
    for attempt in (
        client.storage.download(path="link"),
        client.storage.download(path="out/secret"),
        client.storage.upload(path="out/new", data=b"x"),
        client.storage.upload(path="link", data=b"x", overwrite=True),
        client.storage.delete("out/secret"),
    ):
        with pytest.raises(RoomException):
            await attempt
    assert (tmp_path / "secret").read_text() == "no"


async def test_an_upload_that_breaks_off_leaves_nothing(client: Any) -> None:
    async def half() -> AsyncIterator[bytes]:
        yield b"only this"

    with pytest.raises(RoomException, match="announced"):
        await client.storage.upload_stream(path="a", chunks=half(), size=100)
    assert not await client.storage.exists(path="a")
    assert await client.storage.list(path="") == []


async def test_a_reader_is_not_disturbed_by_a_new_version(client: Any) -> None:
    old, new = b"o" * 300_000, b"n" * 10
    await client.storage.upload(path="a", data=old)
    read = bytearray()
    async for chunk in client.storage.download_stream(path="a"):
        if chunk.headers["kind"] == "start":
            await client.storage.upload(path="a", data=new, overwrite=True)
        else:
            read += chunk.data
    assert bytes(read) == old
    assert (await client.storage.download(path="a")).data == new


async def test_files_and_their_types_survive_a_restart(room: LocalRoom) -> None:
    async with room.client("bot", "agent") as client:
        await client.storage.upload(path="notes/ü.txt", data=b"kept", mime_type="text/x-special")
    await room.restart()
    async with room.client("bot", "agent") as client:
        found = await client.storage.download(path="notes/ü.txt")
        assert (found.data, found.name) == (b"kept", "ü.txt")
        assert found.mime_type in (
            "text/x-special",
            "text/plain",
        )  # the latter where files have no attributes


async def test_download_links(room: LocalRoom, client: Any) -> None:
    await client.storage.upload(path="a b/ü?.html", data=b"<script>alert(1)</script>")
    url = await client.storage.download_url(path="a b/ü?.html")
    async with httpx.AsyncClient() as browser:
        answer = await browser.get(url)
        assert (answer.status_code, answer.content) == (200, b"<script>alert(1)</script>")
        assert "sandbox" in answer.headers["content-security-policy"]
        assert answer.headers["x-content-type-options"] == "nosniff"
        for forged in (url.replace("a%20b", "a%20c"), url[:-1] + "0", url.replace("expires=", "expires=9")):
            if forged != url:
                assert (await browser.get(forged)).status_code in (401, 403, 404)


async def test_tokens_limited_to_paths(room: LocalRoom, client: Any) -> None:
    for path in ("public/a", "public/secret/b", "mine/c", "other/d"):
        await client.storage.upload(path=path, data=b"1")
    paths = [{"path": "public/secret"}, {"path": "public", "read_only": True}, {"path": "mine"}]
    async with room.client("ann", api={"storage": {"paths": paths}}) as ann:
        assert [e.name for e in await ann.storage.list(path="")] == ["mine", "public"]
        assert (await ann.storage.download(path="public/a")).data == b"1"
        await ann.storage.upload(path="mine/new", data=b"2")
        await ann.storage.upload(path="public/secret/new", data=b"2")
        for refused in (
            ann.storage.download(path="other/d"),
            ann.storage.upload(path="public/new", data=b"2"),
            ann.storage.delete("public/a"),
            ann.storage.delete("public", recursive=True),
            ann.storage.move(source_path="mine/c", destination_path="other/c"),
        ):
            with pytest.raises(RoomException) as caught:
                await refused
            assert caught.value.code == 1001
    async with room.client("eve", api={"messaging": {}}) as eve:
        with pytest.raises(RoomException) as caught:
            await eve.storage.list(path="")
        assert caught.value.code == 1001
