"""Synchronised documents of the local room, shared by unmodified published clients."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from meshagent.api.room_server_client import RoomException
from meshagent.api.schema import ChildProperty, ElementType, MeshSchema, ValueProperty

from tests.fakes.room import LocalRoom, local_room

SCHEMA = MeshSchema(
    root_tag_name="list",
    elements=[
        ElementType(
            tag_name="list",
            description="",
            properties=[ChildProperty(name="items", child_tag_names=["item", "text"])],
        ),
        ElementType(
            tag_name="item",
            description="",
            properties=[
                ValueProperty(name="name", type="string"),
                ChildProperty(name="parts", child_tag_names=["item"]),
            ],
        ),
        ElementType(tag_name="text", description="", properties=[]),
    ],
)


@pytest.fixture
async def room(tmp_path: Path) -> AsyncIterator[LocalRoom]:
    async with local_room(tmp_path) as running:
        yield running


def names(document: Any) -> list[Any]:
    return [child.get_attribute("name") for child in document.root.get_children()]


async def until(document: Any, holds: Callable[[], bool]) -> None:
    """Wait for changes of a document until something holds."""
    changed = asyncio.Event()
    for kind in ("inserted", "updated", "deleted"):
        document.on(kind)(lambda *_, **__: changed.set())
    while not holds():
        changed.clear()
        async with asyncio.timeout(10):
            await changed.wait()


async def test_two_clients_share_a_document(room: LocalRoom) -> None:
    async with room.client("a", "agent") as a, room.client("b", "agent") as b:
        mine = await a.sync.open(path="/docs/x.list", schema=SCHEMA)
        theirs = await b.sync.open(path="docs/x.list")
        assert theirs.schema.to_json() == SCHEMA.to_json()
        first = mine.root.append_child("item", {"name": "one"})
        await until(theirs, lambda: names(theirs) == ["one"])
        theirs.root.append_child("item", {"name": "two"})
        await until(mine, lambda: names(mine) == ["one", "two"])
        first.set_attribute("name", "first")
        await until(theirs, lambda: names(theirs) == ["first", "two"])
        first.delete()
        await until(theirs, lambda: names(theirs) == ["two"])
        assert await b.sync.describe(path="docs/x.list") == {
            "list": {"items": [{"item": {"name": "two", "parts": []}}]}
        }


async def test_changes_at_once_meet(room: LocalRoom) -> None:
    async with room.client("a", "agent") as a, room.client("b", "agent") as b:
        mine = await a.sync.open(path="x", schema=SCHEMA)
        theirs = await b.sync.open(path="x")
        for n in range(20):
            mine.root.append_child("item", {"name": f"a{n}"})
            theirs.root.append_child("item", {"name": f"b{n}"})
        await until(mine, lambda: len(names(mine)) == 40)
        await until(theirs, lambda: len(names(theirs)) == 40)
        assert names(mine) == names(theirs)


async def test_documents_with_content_from_json(room: LocalRoom) -> None:
    content = {"list": {"items": [{"item": {"name": "n", "parts": [{"item": {"name": "p", "parts": []}}]}}]}}
    async with room.client("a", "agent") as a:
        await a.sync.create(path="made", json=content, schema=SCHEMA)
        with pytest.raises(RoomException, match="already exists"):
            await a.sync.create(path="made", json=content, schema=SCHEMA)
        assert await a.sync.describe(path="made") == content
        document = await a.sync.open(path="made")
        assert document.to_json() == content
        other = await a.sync.open(path="other", initial_json=content, schema=SCHEMA)
        assert other.to_json() == content
        with pytest.raises(RoomException, match="does not define"):
            await a.sync.create(path="bad", json={"list": {"items": [{"nope": {}}]}}, schema=SCHEMA)


async def test_schemas_from_storage_and_without_one(room: LocalRoom) -> None:
    async with room.client("a", "agent") as a:
        with pytest.raises(RoomException, match="no schema"):
            await a.sync.open(path="x.todo")
        await a.storage.upload(path=".schemas/todo.json", data=json.dumps(SCHEMA.to_json()).encode())
        document = await a.sync.open(path="x.todo")
        assert document.schema.to_json() == SCHEMA.to_json()
        with pytest.raises(RoomException, match="does not exist"):
            await a.sync.open(path="y.todo", create=False)


async def test_a_document_survives_a_restart_and_its_clients_go_on(room: LocalRoom) -> None:
    async with room.client("a", "agent") as a:
        document = await a.sync.open(path="kept", schema=SCHEMA)
        for n in range(100):
            document.root.append_child("item", {"name": str(n)})
        document.root.get_children()[0].delete()
        await a.sync.close(path="kept")
    await room.restart()
    expected = [str(n) for n in range(1, 100)]
    async with room.client("a", "agent") as a, room.client("b", "agent") as b:
        mine, theirs = await a.sync.open(path="kept"), await b.sync.open(path="kept")
        await until(mine, lambda: names(mine) == expected)
        await until(theirs, lambda: names(theirs) == expected)
        mine.root.append_child("item", {"name": "more"})
        await until(theirs, lambda: names(theirs) == [*expected, "more"])


async def test_temporary_documents_live_while_they_are_open(room: LocalRoom) -> None:
    path = "tmp://agents/bot/threads/index.threadl"
    async with room.client("a", "agent") as a:
        document = await a.sync.open(path=path, schema=SCHEMA)
        document.root.append_child("item", {"name": "x"})
        async with room.client("b", "agent") as b:
            theirs = await b.sync.open(path=path, schema=SCHEMA)
            await until(theirs, lambda: names(theirs) == ["x"])
        await a.sync.close(path=path)
        again = await a.sync.open(path=path, schema=SCHEMA)
        assert names(again) == []
    assert not list(room.paths.rooms.rglob("*.ydoc"))


async def test_readers_cannot_change_and_strangers_cannot_read(room: LocalRoom) -> None:
    api: dict[str, Any] = {"sync": {"paths": [{"path": "shared*", "read_only": True}]}}
    async with room.client("a", "agent") as a, room.client("r", api=api) as reader:
        mine = await a.sync.open(path="shared/x", schema=SCHEMA)
        theirs = await reader.sync.open(path="shared/x")
        mine.root.append_child("item", {"name": "seen"})
        await until(theirs, lambda: names(theirs) == ["seen"])
        mine.root.append_child("item", {"name": "again"})  # what the reader echoes did not end its stream
        await until(theirs, lambda: names(theirs) == ["seen", "again"])
        theirs.root.append_child("item", {"name": "forbidden"})
        described = await reader.sync.describe(path="shared/x")
        assert [item["item"]["name"] for item in described["list"]["items"]] == ["seen", "again"]
        assert names(mine) == ["seen", "again"]
        for refused in (
            reader.sync.open(path="private", schema=SCHEMA),
            reader.sync.create(path="shared/new", schema=SCHEMA),
            reader.sync.describe(path="private"),
        ):
            with pytest.raises(RoomException) as caught:
                await refused
            assert caught.value.code == 1001
