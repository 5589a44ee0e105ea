"""The room server's HTTP side: health, tokens, Studio's login, download links, headers."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from websockets.exceptions import InvalidStatus

from process_agent.wire import participant_token
from tests.fakes.raw_client import raw_client
from tests.fakes.room import LocalRoom, local_room


@asynccontextmanager
async def browser(room: LocalRoom, **headers: str) -> AsyncIterator[httpx.AsyncClient]:
    """A page of the room's own origin, unless `headers` say otherwise."""
    async with httpx.AsyncClient(base_url=room.url, headers={"Origin": room.url, **headers}) as client:
        yield client


async def issue(server: LocalRoom, client: httpx.AsyncClient, **body: Any) -> httpx.Response:
    admin = {"Authorization": f"Bearer {server.admin_token()}"}
    return await client.post("/codes", json={"room": "demo", "name": "alice", **body}, headers=admin)


async def test_health_and_version(tmp_path: Path) -> None:
    async with local_room(tmp_path) as room, browser(room) as client:
        health = await client.get("/healthz")
        assert (health.status_code, health.json()["status"]) == (200, "ok")
        assert (await client.get("/config")).json().keys() == {"version"}


async def test_a_link_becomes_a_session_that_survives_a_restart(tmp_path: Path) -> None:
    async with local_room(tmp_path) as room, browser(room) as client:
        assert (await client.get("/session")).status_code == 401
        answer = (await issue(room, client)).json()
        assert answer["expires_in"] == 3600
        opened = await client.post("/session", json={"code": answer["code"]})
        assert opened.json() == {"room": "demo", "name": "alice"}
        cookie = opened.headers["set-cookie"]
        assert cookie.startswith(f"process_session_{room.port}=")
        for attribute in ("HttpOnly", "SameSite=strict", "Path=/", "Max-Age=2592000"):
            assert attribute in cookie
        assert (await client.post("/session", json={"code": answer["code"]})).status_code == 403
        await room.restart()
        assert (await client.get("/session")).json() == {"room": "demo", "name": "alice"}
        value = cookie.split(";")[0]
        headers = {"Cookie": value, "Origin": room.url}
        async with raw_client(room.ws_url(), None, headers=headers) as person:
            assert (await person.call("queues", "list", {}))["json"] == {"queues": []}
        for url, wrong in (
            (room.ws_url("other"), headers),
            (room.ws_url(), {"Cookie": value}),
            (room.ws_url(), {"Cookie": value, "Origin": "http://evil.example"}),
            (room.ws_url(), {"Cookie": value[:-2], "Origin": room.url}),
        ):
            with pytest.raises(InvalidStatus) as refused:
                async with raw_client(url, None, headers=wrong):
                    pass
            assert refused.value.response.status_code == 403


async def test_a_page_of_another_site_gets_no_session(tmp_path: Path) -> None:
    async with local_room(tmp_path) as room:
        async with browser(room) as client:
            code = (await issue(room, client)).json()["code"]
        async with browser(room, Origin="http://evil.example") as evil:
            assert (await evil.post("/session", json={"code": code})).status_code == 403
        async with httpx.AsyncClient(base_url=room.url) as program:
            assert (await program.post("/session", json={"code": code})).status_code == 403
        async with browser(room) as client:
            assert (await client.post("/session", json={"code": code})).status_code == 200


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'{"code": 5}', b"x" * 100_000])
async def test_malformed_bodies_are_refused(tmp_path: Path, body: bytes) -> None:
    async with local_room(tmp_path) as room, browser(room) as client:
        assert (await client.post("/session", content=body)).status_code in (400, 403, 413)


async def test_codes_are_for_administrators_and_real_rooms(tmp_path: Path) -> None:
    async with local_room(tmp_path) as room, browser(room) as client:
        for token in (room.token("alice"), "nonsense"):
            headers = {"Authorization": f"Bearer {token}"}
            answer = await client.post("/codes", json={"room": "demo", "name": "a"}, headers=headers)
            assert answer.status_code == 403
        assert (await client.post("/codes", json={"room": "demo", "name": "a"})).status_code == 403
        for wrong in ({"room": "../x"}, {"room": 5}, {"name": ""}, {"name": None}):
            assert (await issue(room, client, **wrong)).status_code == 400


async def test_published_command_lines_get_their_tokens(tmp_path: Path) -> None:
    async with local_room(tmp_path) as room, httpx.AsyncClient(base_url=room.url) as client:
        key = {"Authorization": f"Bearer ma-{'a' * 22}-{'b' * 22}-{room.key}"}
        connect = await client.post("/accounts/projects/p/rooms/demo/connect", json={}, headers=key)
        answer = connect.json()
        assert (answer["room_name"], answer["project_id"]) == ("demo", "p")
        assert answer["room_url"] == room.ws_url()
        async with raw_client(answer["room_url"], answer["jwt"]):
            pass
        wanted = {"name": "bot", "room_name": "demo", "role": "agent", "api": {"queues": {}}}
        minted = await client.post("/accounts/projects/p/participant-tokens", json=wanted, headers=key)
        token = participant_token.decode(minted.json()["token"], room.key, time.time())
        assert (token.name, token.room, token.role, token.api) == ("bot", "demo", "agent", {"queues": {}})
        plain = {"Authorization": f"Bearer {room.token('alice')}"}
        for path in ("rooms/demo/connect", "participant-tokens"):
            refused = await client.post(f"/accounts/projects/p/{path}", json=wanted, headers=plain)
            assert refused.status_code == 403
        nameless = await client.post("/accounts/projects/p/participant-tokens", json={}, headers=key)
        assert nameless.status_code in (400, 403)


async def test_a_signed_link_downloads_a_file(tmp_path: Path) -> None:
    async with (
        local_room(tmp_path) as room,
        room.client("alice") as alice,
        httpx.AsyncClient() as stranger,
    ):
        await alice.storage.upload(path="notes/a b.txt", data=b"hello")
        url = await alice.storage.download_url(path="notes/a b.txt")
        assert url.startswith(room.url)
        got = await stranger.get(url)
        assert (got.status_code, got.content) == (200, b"hello")
        assert got.headers["x-content-type-options"] == "nosniff"
        assert "sandbox" in got.headers["content-security-policy"]
        for wrong in (
            url[:-1] + ("0" if url[-1] != "0" else "1"),
            url.split("?")[0],
            url.replace("a%20b", "b"),
        ):
            assert (await stranger.get(wrong)).status_code == 403
        assert (await stranger.get(url.replace("/demo/", "/other/"))).status_code == 404


async def test_every_answer_carries_security_headers_and_the_page_may_be_stricter(tmp_path: Path) -> None:
    def page(_request: Request) -> PlainTextResponse:
        return PlainTextResponse("studio", headers={"Content-Security-Policy": "default-src 'none'"})

    async with local_room(tmp_path, [Route("/", page)]) as room, browser(room) as client:
        policies = {}
        for path in ("/", "/healthz", "/missing"):
            answer = await client.get(path)
            assert answer.headers["x-content-type-options"] == "nosniff"
            assert answer.headers["referrer-policy"] == "no-referrer"
            policies[path] = answer.headers["content-security-policy"]
        assert policies["/"] == "default-src 'none'"
        assert "frame-ancestors 'none'" in policies["/missing"]
        assert (await client.get("/", headers={"Host": "evil.example"})).status_code == 403


async def test_a_page_that_is_left_takes_back_what_it_attached(tmp_path: Path) -> None:
    async with local_room(tmp_path) as room, browser(room) as client, room.client("ann", room="demo") as ann:
        for path in ("uploads/1/a.txt", "uploads/1/b.txt", "agents/notes.txt"):
            await ann.storage.upload(path=path, data=b"x")
        wanted = {"paths": ["uploads/1/a.txt", "uploads/1/gone.txt", "agents/notes.txt", 7]}
        assert (await client.post("/rooms/demo/discarded", json=wanted)).status_code == 403
        code = (await issue(room, client)).json()["code"]
        cookie = (await client.post("/session", json={"code": code})).headers["set-cookie"].split(";")[0]
        headers = {"Cookie": cookie}
        evil = await client.post(
            "/rooms/demo/discarded", json=wanted, headers={**headers, "Origin": "http://evil.test"}
        )
        assert evil.status_code == 403
        other = await client.post("/rooms/other/discarded", json=wanted, headers=headers)
        assert other.status_code == 404
        assert await ann.storage.exists(path="uploads/1/a.txt")
        done = await client.post("/rooms/demo/discarded", json=wanted, headers=headers)
        assert done.status_code == 204
        assert not await ann.storage.exists(path="uploads/1/a.txt")
        for path in ("uploads/1/b.txt", "agents/notes.txt"):
            assert await ann.storage.exists(path=path)
