"""What `/usage` says, and what it is read from."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from process_agent.agent.metering import Metering
from process_agent.agent.usage_answers import answer_usage
from process_agent.core import events as e
from process_agent.core.ids import ThreadId, TurnId
from process_agent.core.models import ModelChoice
from process_agent.core.selection import Catalogue
from process_agent.core.usage import Usage, UsageQuestion
from process_agent.errors import RoomError
from process_agent.metering.reading import records_of
from process_agent.metering.retention import prune
from process_agent.metering.words import NOT_KEPT, usage_text
from tests.fakes.datasets import MemoryDatasets
from tests.unit.metering.test_metering_ledger import NOON, record, running

T, U = "dataset://agents/bot/threads/t", "dataset://agents/bot/threads/u"
MIDNIGHT = datetime(2026, 11, 30, tzinfo=UTC)
KNOWN = replace(record(1), usage=Usage(1_000, 400, 50, 20, 100), cost=0.5)
YESTERDAY = replace(record(2), at=NOON - timedelta(days=1), cost=0.25)
OTHER = replace(record(3), backend="codex", thread=U, cost=None)
UNTOLD = replace(record(4), usage=None, cost=None, whole=False)


def test_a_thread_by_model_and_today_in_all_threads() -> None:
    text = usage_text([YESTERDAY, KNOWN, OTHER], T, MIDNIGHT, UsageQuestion.THREAD_AND_TODAY)
    assert text == "\n".join(
        [
            "This thread: $0.7500, 2 calls, 1,200 tokens in (410 cached), 70 out.",
            "",
            "- `llm/openai/gpt-5.5`: $0.7500, 2 calls, 1,200 tokens in (410 cached), 70 out",
            "",
            "Today, 2026-11-30, in all threads of this agent: at least $0.5000, 2 calls, 1,300 tokens in "
            "(410 cached), 70 out.",
            "",
            "- `codex/openai/gpt-5.5`: cost unknown, 1 call, 300 tokens in (10 cached), 20 out",
            "- `llm/openai/gpt-5.5`: $0.5000, 1 call, 1,000 tokens in (400 cached), 50 out",
            "",
            "No price is known for `codex/openai/gpt-5.5`.",
        ]
    )


def test_a_thread_alone_names_nobody_elses() -> None:
    text = usage_text([KNOWN, OTHER, UNTOLD], T, MIDNIGHT, UsageQuestion.THREAD)
    assert "Today" not in text
    assert "codex" not in text
    assert "at least $0.5000, 2 calls" in text
    assert text.endswith("1 call broke off before the provider said what they used.")
    assert usage_text([OTHER], T, MIDNIGHT, UsageQuestion.THREAD) == "This thread: nothing was used."


async def test_a_ledger_reads_what_is_asked_and_what_waits(tmp_path: Path) -> None:
    datasets = MemoryDatasets()
    old_other = replace(record(5), at=NOON - timedelta(days=9), thread=U)
    async with running(datasets, tmp_path) as ledger:
        for each in (YESTERDAY, KNOWN, OTHER, old_other):
            ledger.add(each)
    async with running(datasets, tmp_path, lazy=60) as ledger:
        ledger.add(UNTOLD)
        assert await ledger.records(T, MIDNIGHT) == [YESTERDAY, KNOWN, OTHER, UNTOLD]
        assert await ledger.records(U, NOON + timedelta(hours=1)) == [old_other, OTHER]


class Broken:
    """A ledger whose room is gone."""

    async def records(self, *_: Any) -> list[Any]:
        raise RoomError("The room is gone.")


@pytest.mark.parametrize(
    ("ledger", "said", "end"),
    [
        (None, [NOT_KEPT], None),
        (Broken(), [], "The usage cannot be read: The room is gone."),
    ],
)
async def test_what_cannot_be_read_is_said(ledger: Any, said: list[str], end: str | None) -> None:
    heard: list[e.BackendEvent] = []
    metering = Metering("bot", ledger, Catalogue((), ModelChoice("llm")))
    question = UsageQuestion.THREAD_AND_TODAY
    await answer_usage(metering, question, ThreadId(T), TurnId("u"), lambda _, event: heard.append(event))
    assert [event.text for event in heard if isinstance(event, e.TextDelta)] == said
    ended = heard[-1]
    assert isinstance(ended, e.TurnEnded)
    assert (None if ended.error is None else ended.error.message) == end


async def test_what_is_old_is_counted_and_removed(tmp_path: Path) -> None:
    datasets = MemoryDatasets()
    async with running(datasets, tmp_path) as ledger:
        for each in (YESTERDAY, KNOWN, OTHER):
            ledger.add(each)
    assert await prune(datasets, "bot", MIDNIGHT, dry_run=True) == 1
    assert len(await records_of(datasets, "bot")) == 3
    assert await prune(datasets, "bot", MIDNIGHT, dry_run=False) == 1
    assert await records_of(datasets, "bot") == [KNOWN, OTHER]
    assert await prune(datasets, "nobody", MIDNIGHT, dry_run=False) == 0
