from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from typing import Any

import httpx
import msgspec
import pytest

from process_agent.scripted import server as scripted_server
from process_agent.scripted.server import ScriptedServer
from process_agent.wire.sse import SseParser


@pytest.fixture
async def server() -> AsyncIterator[ScriptedServer]:
    async with ScriptedServer() as running:
        yield running


@pytest.fixture
async def client(server: ScriptedServer) -> AsyncIterator[httpx.AsyncClient]:
    headers = {"authorization": f"Bearer {server.api_key}"}
    async with httpx.AsyncClient(base_url=server.base_url, headers=headers, timeout=20) as running:
        yield running


def ask(prompt: str, *, stream: bool = True) -> dict[str, Any]:
    return {"model": "m", "stream": stream, "input": prompt}


def events(body: bytes) -> list[dict[str, Any]]:
    return [msgspec.json.decode(event.data) for event in SseParser().feed(body)]


def script(*actions: dict[str, Any]) -> str:
    return f"```script\n{msgspec.json.encode(actions).decode()}\n```"


async def test_streamed_deltas_are_the_text(client: httpx.AsyncClient) -> None:
    answer = await client.post("/responses", json=ask("say 7 7 7 and ha ha ha"))
    assert answer.headers["content-type"].startswith("text/event-stream")
    told = events(answer.content)
    deltas = [event["delta"] for event in told if event["type"] == "response.output_text.delta"]
    assert len(deltas) > 1
    assert "".join(deltas) == "7 7 7 and ha ha ha"
    assert told[-1]["type"] == "response.completed"
    assert told[-1]["response"]["usage"]["output_tokens"] > 0


async def test_the_same_answer_without_streaming(client: httpx.AsyncClient) -> None:
    answer = await client.post("/responses", json=ask("say yes", stream=False))
    assert answer.headers["content-type"] == "application/json"
    body = answer.json()
    assert body["status"] == "completed"
    assert body["output"][0]["content"][0]["text"] == "yes"


async def test_models_are_labelled(client: httpx.AsyncClient) -> None:
    answer = (await client.get("/models")).json()
    assert [(model["id"], model["owned_by"]) for model in answer["data"]] == [("scripted", "scripted model")]


@pytest.mark.parametrize("header", [None, b"Bearer wrong", b"Bearer", b"wrong", b"Bearer \xe9"])
async def test_a_wrong_key_is_refused(server: ScriptedServer, header: bytes | None) -> None:
    headers = [] if header is None else [(b"authorization", header)]
    async with httpx.AsyncClient(base_url=server.base_url) as client:
        for call in (
            client.get("/models", headers=headers),
            client.post("/responses", json=ask("say x"), headers=headers),
        ):
            answer = await call
            assert answer.status_code == 401
            assert answer.json()["error"]["code"] == "invalid_api_key"
    assert server.total_requests == 0


async def test_it_listens_on_loopback_only(server: ScriptedServer) -> None:
    assert server.base_url.startswith("http://127.0.0.1:")


async def test_bad_requests_say_what_is_wrong(client: httpx.AsyncClient) -> None:
    answer = await client.post("/responses", content=b"{")
    assert (answer.status_code, "not JSON" in answer.json()["error"]["message"]) == (400, True)
    answer = await client.post("/responses", json={"model": "m", "input": 7})
    assert "`input`" in answer.json()["error"]["message"]


async def test_a_body_above_the_limit_is_refused(
    client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scripted_server, "MAX_BODY_BYTES", 1000)
    answer = await client.post("/responses", json=ask("x" * 1000))
    assert answer.status_code == 413


async def test_requests_are_kept_without_the_key_and_not_for_ever(client: httpx.AsyncClient) -> None:
    async with ScriptedServer(kept_requests=2) as server:
        for n in range(3):
            headers = {"authorization": f"Bearer {server.api_key}", "x-number": str(n)}
            await client.post(f"{server.base_url}/responses", json=ask(f"say {n}"), headers=headers)
        assert server.total_requests == 3
        assert [kept.body["input"] for kept in server.requests] == ["say 1", "say 2"]
        assert [kept.headers["x-number"] for kept in server.requests] == ["1", "2"]
        assert server.api_key not in repr(server.requests)
        assert all(kept.answered for kept in server.requests)


async def test_http_faults(client: httpx.AsyncClient) -> None:
    fault = {"fault": 429, "code": "rate_limit_exceeded", "message": "slow down", "retry_after": 3}
    answer = await client.post("/responses", json=ask(script(fault)))
    assert answer.status_code == 429
    assert answer.headers["retry-after"] == "3"
    assert answer.json()["error"]["code"] == "rate_limit_exceeded"


async def test_a_fault_that_passes_is_counted_for_each_conversation(client: httpx.AsyncClient) -> None:
    def body(key: str) -> dict[str, Any]:
        return ask("error 503 twice") | {"prompt_cache_key": key}

    statuses = [(await client.post("/responses", json=body("a"))).status_code for _ in range(4)]
    assert statuses == [503, 503, 200, 200]
    assert (await client.post("/responses", json=body("b"))).status_code == 503


async def test_a_cut_stream_is_cut_after_what_was_said(
    client: httpx.AsyncClient, server: ScriptedServer, caplog: pytest.LogCaptureFixture
) -> None:
    got = bytearray()
    with caplog.at_level(logging.INFO), pytest.raises(httpx.RemoteProtocolError):
        await _read(client, script({"say": "half"}, {"fault": "disconnect"}), got)
    assert "half" in "".join(e.get("delta", "") for e in events(bytes(got)))
    record = server.requests[-1]
    await record.over.wait()
    assert not record.answered
    assert [entry for entry in caplog.records if entry.name.startswith("uvicorn")] == []


async def _read(client: httpx.AsyncClient, prompt: str, into: bytearray) -> None:
    async with client.stream("POST", "/responses", json=ask(prompt)) as answer:
        async for chunk in answer.aiter_bytes():
            into += chunk


async def test_a_stream_may_end_without_its_end(client: httpx.AsyncClient) -> None:
    answer = await client.post("/responses", json=ask(script({"say": "a"}, {"fault": "unfinished"})))
    assert events(answer.content)[-1]["type"] == "response.output_item.done"


async def test_pauses_happen_between_the_deltas(client: httpx.AsyncClient) -> None:
    prompt = script({"say": "ab", "pieces": ["a", "b"], "every_ms": 50}, {"fault": "silence"})
    arrived: list[tuple[float, str]] = []
    clock = asyncio.get_running_loop().time
    parser = SseParser()
    async with client.stream("POST", "/responses", json=ask(prompt)) as answer:
        async for chunk in answer.aiter_bytes():
            told = [msgspec.json.decode(event.data) for event in parser.feed(chunk)]
            arrived += [(clock(), e["delta"]) for e in told if e["type"] == "response.output_text.delta"]
            if len(arrived) == 2:
                break
    assert [delta for _, delta in arrived] == ["a", "b"]
    assert arrived[1][0] - arrived[0][0] > 0.03


async def test_generation_stops_when_the_client_leaves(
    client: httpx.AsyncClient, server: ScriptedServer
) -> None:
    async with client.stream("POST", "/responses", json=ask("wait 60 seconds")) as answer:
        await anext(answer.aiter_bytes())
        record = await server.wait_for_requests(1)
        assert not record.over.is_set()
    async with asyncio.timeout(5):
        await record.over.wait()
    assert not record.answered


async def test_closing_ends_what_is_streamed(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        async with ScriptedServer() as server, httpx.AsyncClient() as client:
            headers = {"authorization": f"Bearer {server.api_key}"}
            request = client.build_request(
                "POST", f"{server.base_url}/responses", json=ask("hang"), headers=headers
            )
            answer = await client.send(request, stream=True)
            async with asyncio.timeout(2):
                await server.close()
            with pytest.raises(httpx.TransportError):
                await answer.aread()
    assert caplog.records == []
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection("127.0.0.1", int(server.base_url.split(":")[2].split("/")[0]))


async def test_many_at_once(client: httpx.AsyncClient) -> None:
    answers = await asyncio.gather(*(client.post("/responses", json=ask(f"say {n}")) for n in range(50)))
    texts = [events(answer.content)[-1]["response"]["output"][0]["content"][0]["text"] for answer in answers]
    assert texts == [str(n) for n in range(50)]


async def test_answers_are_not_held_back_by_the_network(client: httpx.AsyncClient) -> None:
    """With Nagle's delay every answer on a kept connection takes 40 ms."""
    clock = asyncio.get_running_loop().time
    took = []
    for _ in range(10):
        began = clock()
        await client.post("/responses", json=ask("say hi"))
        took.append(clock() - began)
    assert min(took[1:]) < 0.03
