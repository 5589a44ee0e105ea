"""Failures of a provider after tools were called or while it summarises: nothing is doubled, nothing lost."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from process_agent.agent.metering import Metering
from process_agent.core import events as e
from process_agent.core.backend import BackendThread
from process_agent.core.content import TextResult
from process_agent.core.ids import ThreadId, TurnId
from process_agent.core.models import ModelInfo, Pricing, ProviderModels
from process_agent.core.requests import ClientTool
from process_agent.core.selection import Catalogue
from process_agent.io.http_stream import HttpLimits
from process_agent.metering.ledger import UsageLedger
from process_agent.metering.reading import records_of
from process_agent.metering.report import report
from process_agent.metering.spool import Spool
from process_agent.scripted.server import RecordedRequest
from tests.contract.codex_room import Told, script
from tests.fakes.datasets import MemoryDatasets
from tests.fakes.llm_room import MODELS, LlmRoom, llm_room
from tests.integration.test_llm_faults import HALF, charged_once

LOOK = ClientTool("look", {"type": "object", "properties": {}})
CALL = {"call": "look", "arguments": {}}
LIMITS = HttpLimits(first=0.5, idle=0.5)
FAULTS: dict[str, Any] = {"500": 500, "cut": "disconnect", "garbage": "garbage", "silence": "silence"}
CALL_ID = re.compile(r"call_[0-9a-f]{16}_\d+")


async def look_and(room: LlmRoom, thread: BackendThread, dialect: str, *then: dict[str, Any]) -> Told:
    """A turn that calls the tool, which sees pears, and goes on with `then`."""

    def answer(event: object) -> object:
        if isinstance(event, e.ClientToolRequested):
            return thread.answer(event.ask_id, TextResult("pears-seen"))
        return None

    text = script(CALL, *then)
    return await room.turn(thread, text, answer, model=MODELS[dialect], client_tools=(LOOK,))


def holds_the_call_once(request: RecordedRequest) -> bool:
    """Whether the request has the call, its output, and neither of them twice."""
    text = json.dumps(request.body)
    ids = CALL_ID.findall(text)
    return (len(ids), len(set(ids)), text.count("pears-seen")) == (2, 1, 1)


@pytest.mark.parametrize("dialect", MODELS)
@pytest.mark.parametrize("fault", FAULTS)
async def test_what_passes_after_a_call_asks_again_with_the_same_output(
    tmp_path: Path, dialect: str, fault: str
) -> None:
    async with llm_room(tmp_path, limits=LIMITS) as room:
        thread = await room.thread()
        told = await look_and(room, thread, dialect, {"fault": FAULTS[fault], "times": 1}, {"say": "done"})
        assert (told.text, told.end.reason) == ("done", e.EndReason.COMPLETED)
        first, *later = room.model.requests
        assert [holds_the_call_once(request) for request in (first, *later)] == [False, True, True]
        assert later[0].body == later[1].body
        assert len(told.of(e.ClientToolRequested)) == len(told.of(e.ToolEnded)) == 1
        charged_once(room, told)


@pytest.mark.parametrize("dialect", MODELS)
@pytest.mark.parametrize("words", [(), (HALF,)], ids=["at once", "in the text"])
async def test_what_lasts_after_a_call_loses_nothing_for_the_next_turn(
    tmp_path: Path, dialect: str, words: tuple[dict[str, Any], ...]
) -> None:
    fault = {"fault": 500} if not words else {"fault": "failed"}
    async with llm_room(tmp_path, limits=LIMITS) as room:
        thread = await room.thread()
        told = await look_and(room, thread, dialect, *words, fault)
        assert told.end.error is not None
        assert told.end.error.code == "model_server_error"
        again = await room.turn(thread, "say better", model=MODELS[dialect])
        assert (again.text, again.end.reason) == ("better", e.EndReason.COMPLETED)
        assert all(holds_the_call_once(request) for request in list(room.model.requests)[1:])
        assert str(room.model.requests[-1].body).count("'half an answer'") == len(words)
        charged_once(room, told, again)


@pytest.mark.parametrize("dialect", MODELS)
@pytest.mark.parametrize("lasts", [False, True])
async def test_a_fault_while_it_summarises_doubles_and_loses_nothing(
    tmp_path: Path, dialect: str, lasts: bool
) -> None:
    times = {} if lasts else {"times": 1}
    async with llm_room(tmp_path) as room:
        thread = await room.thread()
        summary = {"when_compacted": [{"fault": 500, **times}, {"say": "In short: pears."}]}
        first = await room.turn(thread, script({"say": "apples-said"}, summary), model=MODELS[dialect])
        second = await room.turn(thread, None, model=MODELS[dialect], compact=True)
        compacted = second.of(e.ContextCompacted)
        assert [event.summary for event in compacted] == ([] if lasts else ["In short: pears."])
        assert (second.end.error is not None) == lasts
        third = await room.turn(thread, "say on", model=MODELS[dialect])
        assert third.text == "on"
        asked = json.dumps(room.model.requests[-1].body).replace(json.dumps(summary)[1:-1], "")
        assert asked.count("summary of it:") == (0 if lasts else 1)
        assert asked.count("apples-said") == (2 if lasts else 1)  # what was asked, and the answer to it
        charged_once(room, first, second, third)


async def test_an_answer_that_was_cut_is_in_the_table_once_with_what_was_read_and_its_price(
    tmp_path: Path,
) -> None:
    model = MODELS["messages"]
    assert model.provider is not None
    assert model.model is not None
    info = ModelInfo(model.model, pricing=Pricing(input=3.0, output=15.0))
    catalogue = Catalogue([ProviderModels(model.provider, "A", model.backend, None, (info,))], model)
    datasets = MemoryDatasets()
    async with llm_room(tmp_path, limits=LIMITS) as room:
        told = await room.turn(await room.thread(), script(HALF, {"fault": "disconnect"}), model=model)
        assert told.end.error is not None
        assert told.end.error.code == "model_answer_cut"
        ((read, made),) = room.charged
        assert (read > 0, made) == (True, 0)
        ledger = UsageLedger(datasets, "bot", Spool(tmp_path / "spool"), lazy_seconds=0.0)
        ledger.start()
        metering = Metering("bot", ledger, catalogue, lambda: datetime(2026, 11, 30, tzinfo=UTC))
        meter = metering.of_turn(ThreadId("dataset://t"), TurnId("turn-1"), model)
        for call in room.calls.heard:
            meter.used(call)
        await ledger.close()
    records = await records_of(datasets, "bot")
    (record,) = records
    assert (record.id, record.whole, record.cost) == ("turn-1:1", False, read * 3.0 / 1e6)
    assert record.usage is not None
    assert (record.usage.input, record.usage.output) == (read, 0)
    _, total = report(records, "model", UTC)
    assert total is not None
    assert (total.calls, total.broken, total.untold, total.unpriced) == (1, 1, 0, {})
