"""Tools the agent runs, called by the real Codex."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path

from process_agent.core.content import ErrorInfo, Json, JsonResult, TextResult
from process_agent.core.events import BackendEvent, EndReason, ToolEnded, ToolRef, ToolStarted, TurnEnded
from process_agent.core.ids import ItemId
from process_agent.core.mcp import McpServer
from process_agent.core.tools import ToolOutcome, ToolOutput
from tests.contract.codex_room import codex_room, script
from tests.fakes.mcp_server import mcp_server
from tests.fakes.tools import PlayedToolbox
from tests.unit.codex.replay import PNG

CALL = {"call": "look", "namespace": "room", "arguments": {"at": "sky"}}


async def test_a_call_with_its_result_in_the_next_request(tmp_path: Path) -> None:
    async def answer(ref: ToolRef, arguments: Mapping[str, Json]) -> ToolOutcome:
        value: dict[str, Json] = {"saw": arguments["at"]}
        return ToolOutput(JsonResult(value))

    box = PlayedToolbox(answer)
    async with codex_room(tmp_path) as room:
        told = await room.turn(await room.thread(), script(CALL, {"report": True}), toolbox=box)
        (started, ended), *_ = told.tools("look")
        ref = started.ref
        assert (ref.toolkit, ref.tool, ref.namespace) == ("room", "look", "meshagent")
        assert started.arguments == {"at": "sky"}
        assert ended == ToolEnded(ref, JsonResult({"saw": "sky"})), "as the tool gave it, not as Codex got it"
        assert box.calls == [(ref, {"at": "sky"})]
        assert ("call", '{"saw": "sky"}') in room.sent()
        offered = [tool for tool in room.model.requests[-1].body["tools"] if tool.get("name") == "room"]
        assert offered[0]["tools"][0]["description"] == "looks"


async def test_an_image_is_looked_at_by_the_model(tmp_path: Path) -> None:
    async def paint(ref: ToolRef, arguments: Mapping[str, Json]) -> ToolOutcome:
        return ToolOutput(TextResult("painted"), (PNG,))

    async with codex_room(tmp_path) as room:
        told = await room.turn(await room.thread(), script(CALL), toolbox=PlayedToolbox(paint))
        assert told.tools("look")[0][1].result == TextResult("painted")
        sent = room.model.requests[-1].body["input"]
        (output,) = [item["output"] for item in sent if item["type"] == "function_call_output"]
        assert [part["type"] for part in output] == ["input_text", "input_image"]
        assert output[1]["image_url"] == PNG


async def test_calls_of_one_response_come_one_after_the_other_and_may_fail(tmp_path: Path) -> None:
    async def answer(ref: ToolRef, arguments: Mapping[str, Json]) -> ToolOutcome:
        return ErrorInfo("the sky is closed", "tool_failed")

    box = PlayedToolbox(answer)
    async with codex_room(tmp_path) as room:
        prompt = script({"together": [CALL, CALL]}, {"report": True})
        told = await room.turn(await room.thread(), prompt, toolbox=box)
        assert told.end == TurnEnded(EndReason.COMPLETED)
        errors = [ended.error for _, ended in told.tools("look")]
        assert errors == [ErrorInfo("the sky is closed", "tool_failed")] * 2
        assert room.sent().count(("call", "the sky is closed")) == 2


async def test_an_interrupt_stops_the_call(tmp_path: Path) -> None:
    stopped = asyncio.Event()

    async def never(ref: ToolRef, arguments: Mapping[str, Json]) -> ToolOutcome:
        try:
            await asyncio.Event().wait()
        finally:
            stopped.set()
        raise AssertionError

    async with codex_room(tmp_path) as room:
        thread = await room.thread()

        async def stop(event: BackendEvent) -> None:
            if isinstance(event, ToolStarted):
                await thread.interrupt()

        told = await room.turn(thread, script(CALL), stop, toolbox=PlayedToolbox(never))
        assert told.end.reason is EndReason.INTERRUPTED
        assert told.tools("look")[0][1].error is not None
        await stopped.wait()
        after = await room.turn(thread, "say still there")
        assert after.text == "still there"


async def test_other_tools_are_offered_from_the_next_turn_on(tmp_path: Path) -> None:
    async def answer(ref: ToolRef, arguments: Mapping[str, Json]) -> ToolOutcome:
        return ToolOutput(TextResult(f"{ref.tool} did"))

    async with codex_room(tmp_path) as room:
        thread = await room.thread()
        for tool in ("look", "listen"):
            box = PlayedToolbox(answer, (tool,))
            prompt = script({"call": tool, "namespace": "room", "arguments": {}}, {"report": True})
            told = await room.turn(thread, prompt, toolbox=box)
            assert told.text == f"{tool} did"
        assert ("call", "look did") in room.sent(), "the history comes along"
        told = await room.turn(thread, script({"call": "look", "namespace": "room", "arguments": {}}))
        assert ItemId("x") not in {event.ref.item_id for event in told.of(ToolStarted)}
        assert "unsupported call" in str(room.model.requests[-1].body["input"][-1])


async def test_an_mcp_server_of_one_turn_is_there_for_that_turn_only(tmp_path: Path) -> None:
    call = {"call": "weather", "namespace": "mcp__turn_town", "arguments": {"town": "Ulm"}}
    hidden = {**call, "call": "hidden"}
    async with mcp_server() as mcp, codex_room(tmp_path) as room:
        server = McpServer("town", mcp.url, {"Authorization": "Bearer tok-s3cret"}, ("weather",))
        thread = await room.thread()
        told = await room.turn(thread, script(call, hidden, {"report": True}), mcp_servers=(server,))
        (started, ended), *_ = told.tools("weather")
        assert (started.ref.toolkit, ended.result) == ("turn_town", TextResult("It rains."))
        assert mcp.calls == [{"town": "Ulm"}]
        assert {headers["authorization"] for headers in mcp.headers} == {"Bearer tok-s3cret"}
        assert "unsupported call" in told.text, "only the tools that were named are there"
        after = await room.turn(thread, script(call, {"report": True}))
        assert after.end == TurnEnded(EndReason.COMPLETED)
        assert len(mcp.calls) == 1
        kept = [path for path in room.data.rglob("*") if path.is_file() and b"s3cret" in path.read_bytes()]
        assert not kept, "the token is written nowhere"
