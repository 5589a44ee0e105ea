"""Meters: each answer becomes a record with an id of its own and what it cost."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

import pytest

from process_agent.agent.metering import Metering
from process_agent.core.ids import ThreadId, TurnId
from process_agent.core.models import ModelChoice, ModelInfo, Pricing, ProviderModels
from process_agent.core.selection import Catalogue
from process_agent.core.usage import UNMETERED, ModelCall, Usage, UsageRecord

NOON = datetime(2026, 11, 30, 12, tzinfo=UTC)
THREAD = ThreadId("dataset://t")
PRICED = ModelChoice("llm", "openai", "gpt-5.5")
PRICES = Pricing(input=2.0, output=10.0, cached=0.5, search=10.0, images={"high 1024x1024": 0.2})
MODELS = (ModelInfo("gpt-5.5", pricing=PRICES), ModelInfo("free"))
CATALOGUE = Catalogue([ProviderModels("openai", "OpenAI", "llm", "gpt-5.5", MODELS)], PRICED)
USAGE = Usage(1_000_000, 400_000, 100_000, searches=1)


class Kept:
    """A ledger that keeps what it is given."""

    def __init__(self) -> None:
        self.added: list[UsageRecord] = []

    async def records(self, thread: str, since: datetime) -> Sequence[UsageRecord]:
        return [record for record in self.added if record.at >= since]

    def start(self) -> None:
        """There is nothing to start."""

    def add(self, record: UsageRecord) -> None:
        self.added.append(record)

    async def close(self) -> None:
        """Nothing waits."""


def metering(ledger: Kept | None) -> Metering:
    return Metering("bot", ledger, CATALOGUE, lambda: NOON)


def test_a_call_of_a_priced_model_has_its_cost_and_who_it_was_for() -> None:
    kept = Kept()
    metering(kept).of_turn(THREAD, TurnId("t1"), ModelChoice("llm", None, "gpt-5.5")).used(
        ModelCall(USAGE, "turn", whole=True, response_id="r1")
    )
    (record,) = kept.added
    assert record.cost == pytest.approx(0.6 * 2.0 + 0.4 * 0.5 + 0.1 * 10.0 + 0.01)
    assert (record.id, record.at, record.agent, record.thread, record.turn) == (
        "t1:1",
        NOON,
        "bot",
        THREAD,
        "t1",
    )
    assert (record.backend, record.provider, record.model) == ("llm", "openai", "gpt-5.5")
    assert (record.purpose, record.whole, record.response_id, record.usage) == ("turn", True, "r1", USAGE)
    assert record.unpriced_pieces == 0


def test_what_was_not_told_and_what_has_no_price_costs_nothing_known() -> None:
    kept = Kept()
    meter = metering(kept).of_turn(THREAD, TurnId("t1"), PRICED)
    meter.used(ModelCall(None, "turn", whole=False))
    meter.used(ModelCall(Usage(1_000_000, images=("low 1x1", "high 1024x1024")), "turn", whole=False))
    metering(kept).of_turn(THREAD, TurnId("t2"), ModelChoice("llm", "openai", "free")).used(
        ModelCall(USAGE, "turn")
    )
    metering(kept).of_turn(THREAD, TurnId("t3"), ModelChoice("llm", "who", "gone")).used(
        ModelCall(USAGE, "turn")
    )
    assert [(each.id, each.cost, each.unpriced_pieces) for each in kept.added] == [
        ("t1:1", None, 0),
        ("t1:2", pytest.approx(2.2), 1),
        ("t2:1", None, 1),
        ("t3:1", None, 1),
    ]


def test_calls_that_name_a_thread_have_ids_of_their_own_and_no_turn() -> None:
    kept = Kept()
    for _ in range(2):
        metering(kept).of_title(THREAD, PRICED).used(ModelCall(USAGE, "title"))
    first, second = kept.added
    assert first.id != second.id
    assert (first.turn, first.thread, first.cost) == ("", THREAD, second.cost)


def test_without_a_ledger_nothing_is_taken_down() -> None:
    assert metering(None).of_turn(THREAD, TurnId("t1"), PRICED) is UNMETERED
