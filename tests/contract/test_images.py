"""Images that models make, in the real local room: stored once in its table, shown by address everywhere."""

from __future__ import annotations

from base64 import b64decode
from pathlib import Path
from typing import Any

import httpx
import pyarrow as pa
import pytest

from process_agent.core import events as e
from process_agent.core.content import GeneratedImage, LinkResult
from process_agent.core.ids import ItemId
from process_agent.core.images import GIVEN_BACK, id_of
from process_agent.threads.images import IMAGES
from tests.contract.agent_room import AGENT, agent_in, chat_client
from tests.fakes.backend import FakeBackend
from tests.fakes.room import ROOM, LocalRoom

PNG = (
    "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJg"
    "gg=="
)
BYTES = b64decode(PNG.partition(",")[2])
ITEM = ItemId("picture")


async def rows(client: Any) -> list[dict[str, Any]]:
    found: pa.Table = await client.datasets.search(table="images")
    return found.to_pylist()


async def test_an_image_is_kept_and_goes_with_its_thread(server: LocalRoom, tmp_path: Path) -> None:
    backend = FakeBackend()
    async with (
        agent_in(server, tmp_path, [backend]),
        chat_client(server, "ana") as ana,
        server.client("app") as app,
    ):
        await ana.say("thread.start", "draw")
        thread = (await ana.wait("thread.started"))["thread_id"]
        turn = await backend.turn(0)
        turn.say(e.ImageStarted(ITEM), e.ImagePartial(ITEM, GeneratedImage(PNG, "image/png"), 0))
        turn.say(e.ImageCompleted(ITEM, (GeneratedImage(PNG, "image/png", 1, 1), GeneratedImage("data:,no"))))
        turn.end()
        [image, odd] = (await ana.wait("image_generation.completed"))["images"]
        assert odd["uri"] == "data:,no"
        assert (image["mime_type"], image["width"], image["uri"].startswith("dataset://images?id=")) == (
            "image/png",
            1,
            True,
        )
        assert (await ana.wait("turn.ended")).get("error") is None
        [row] = await rows(app)
        assert (row["id"], row["data"], row["created_by"]) == (id_of(image["uri"]), BYTES, AGENT)
        schema = await app.datasets.inspect(table="images")
        assert schema.field("data").metadata == {b"content-type": b"image/*"}
        assert schema.equals(IMAGES)
        folder = ["agents", AGENT, "threads"]
        stored = await app.datasets.search(table=thread.rsplit("/", 1)[1], namespace=folder)
        kinds = {x["type"]: str(x["data"]) for x in stored.to_pylist()}
        assert "base64" not in kinds["meshagent.agent.image_generation.completed"]
        await ana.send("thread.open", thread_id=thread, load=True)
        again = await ana.wait("image_generation.completed")
        assert again["images"][0]["uri"] == image["uri"]
        await ana.send("thread.watch")
        await ana.say("turn.start", "/fork", thread_id=thread)
        copy = (await ana.wait("thread.created"))["thread"]["path"]
        await ana.wait("turn.ended")
        assert len(await rows(app)) == 2
        await ana.send("thread.delete", thread_id=thread)
        await ana.wait("thread.deleted")
        [left] = await rows(app)
        await ana.send("thread.open", thread_id=copy, load=True)
        shown = await ana.wait("image_generation.completed", thread_id=copy)
        assert (left["data"], left["id"]) == (BYTES, id_of(shown["images"][0]["uri"]))
        await ana.send("thread.delete", thread_id=copy)
        await ana.wait("thread.deleted")
        assert await rows(app) == []


async def test_an_image_that_a_tool_gives_back_is_kept_and_goes_with_its_thread(
    server: LocalRoom, tmp_path: Path
) -> None:
    backend, tool = FakeBackend(), e.ToolRef(ItemId("look"), "camera", "look")
    async with (
        agent_in(server, tmp_path, [backend]),
        chat_client(server, "ana") as ana,
        server.client("app") as app,
    ):
        await ana.say("thread.start", "draw")
        other = (await ana.wait("thread.started"))["thread_id"]
        drawing = await backend.turn(0)
        drawing.say(e.ImageStarted(ITEM), e.ImageCompleted(ITEM, (GeneratedImage(PNG, "image/png", 1, 1),)))
        drawing.end()
        [others] = (await ana.wait("image_generation.completed"))["images"]
        await ana.wait("turn.ended")

        await ana.say("thread.start", "look")
        thread = (await ana.wait("thread.started"))["thread_id"]
        assert thread != other
        looking = await backend.turn(1)
        looking.say(e.ToolStarted(tool, {}), e.ToolEnded(tool, LinkResult("dot.png", PNG)))
        forged = e.ToolRef(ItemId("forged"), "camera", "look")
        looking.say(e.ToolStarted(forged, {}), e.ToolEnded(forged, LinkResult("x", others["uri"])))
        looking.end()
        ended = await ana.wait("tool_call.ended", item_id="look")
        shown = await ana.wait("image_generation.completed", item_id=f"look{GIVEN_BACK}")
        assert ended["result"] == {"type": "link", "name": "dot.png", "url": shown["images"][0]["uri"]}
        assert shown["arguments"] == {"prompt": "given back by look: dot.png"}
        await ana.wait("turn.ended", thread_id=thread)
        assert len(await rows(app)) == 2

        await ana.send("thread.watch")
        await ana.send("thread.delete", thread_id=thread)
        await ana.wait("thread.deleted")
        [left] = await rows(app)
        assert left["id"] == id_of(others["uri"]), "a tool's word for it makes no image one of the thread's"


async def test_what_the_room_does_not_take_stays_in_the_thread(
    server: LocalRoom, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    backend = FakeBackend()
    async with (
        agent_in(server, tmp_path, [backend]),
        chat_client(server, "ana") as ana,
        server.client("app") as app,
    ):
        other = pa.schema([pa.field("id", pa.int64())])
        await app.datasets.create_table_with_schema(name="images", schema=other, mode="create")
        await ana.say("thread.start", "draw")
        turn = await backend.turn(0)
        turn.say(e.ImageStarted(ITEM), e.ImageCompleted(ITEM, (GeneratedImage(PNG, "image/png", 1, 1),)))
        turn.end()
        [image] = (await ana.wait("image_generation.completed"))["images"]
        assert image["uri"] == PNG
        assert (await ana.wait("turn.ended")).get("error") is None
    assert "stays in its thread" in caplog.text


async def test_a_page_gets_an_image_by_its_address_and_nobody_else(server: LocalRoom, tmp_path: Path) -> None:
    backend = FakeBackend()
    async with (
        agent_in(server, tmp_path, [backend]),
        chat_client(server, "ana") as ana,
        httpx.AsyncClient(base_url=server.url, headers={"Origin": server.url}) as page,
    ):
        await ana.say("thread.start", "draw")
        turn = await backend.turn(0)
        turn.say(e.ImageStarted(ITEM), e.ImageCompleted(ITEM, (GeneratedImage(PNG, "image/png"),)))
        turn.end()
        [image] = (await ana.wait("image_generation.completed"))["images"]
        path = f"/rooms/{ROOM}/images/{id_of(image['uri'])}"
        assert (await page.get(path)).status_code == 401
        admin = {"Authorization": f"Bearer {server.admin_token()}"}
        code = (await page.post("/codes", json={"room": ROOM, "name": "eve"}, headers=admin)).json()["code"]
        await page.post("/session", json={"code": code})
        shown = await page.get(path)
        assert (shown.status_code, shown.content, shown.headers["content-type"]) == (200, BYTES, "image/png")
        assert "sandbox" in shown.headers["content-security-policy"]
        for wrong in ("/nothing", "/x'%20OR%20'1'='1", "/" + "x" * 300):
            assert (await page.get(f"/rooms/{ROOM}/images{wrong}")).status_code == 404
        assert (await page.get(path.replace(ROOM, "other"))).status_code == 404
