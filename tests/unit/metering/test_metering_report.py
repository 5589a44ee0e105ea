"""Sums by turn, thread, model and day."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import pytest

from process_agent.cli.moments import moment
from process_agent.cli.usage_table import as_table
from process_agent.core.usage import Usage, UsageRecord
from process_agent.errors import UsageError
from process_agent.metering.report import By, as_fields, chosen, report
from tests.unit.metering.test_metering_ledger import record

KNOWN = replace(record(1), usage=Usage(1_000, 400, 50, 20, 100), cost=0.5)
LATER = replace(
    record(2), id="turn-1:2", turn="turn-1", at=record(1).at + timedelta(hours=11, minutes=30), cost=0.25
)
UNPRICED = replace(record(3), backend="codex", thread="dataset://agents/bot/threads/u", cost=None)
UNTOLD = replace(record(4), usage=None, cost=None, whole=False)
ALL = [KNOWN, LATER, UNPRICED, UNTOLD]


@pytest.mark.parametrize(
    ("by", "keys"),
    [
        ("turn", ["turn-1", "turn-4", "turn-3"]),
        ("thread", ["dataset://agents/bot/threads/t", "dataset://agents/bot/threads/u"]),
        ("model", ["llm/openai/gpt-5.5", "codex/openai/gpt-5.5"]),
        ("day", ["2026-11-30"]),
    ],
)
def test_each_call_is_in_one_line_and_in_the_total(by: By, keys: list[str]) -> None:
    lines, total = report(ALL, by, UTC)
    assert [line.key for line in lines] == keys
    assert total is not None
    assert (total.calls, total.cost, total.untold, total.broken) == (4, 0.75, 1, 1)
    assert total.unpriced == {"codex/openai/gpt-5.5": 1}
    assert sum(line.calls for line in lines) == total.calls
    assert sum((line.usage for line in lines), Usage()) == total.usage


def test_days_are_those_of_the_zone() -> None:
    lines, _ = report(ALL, "day", timezone(timedelta(hours=1)))
    assert [(line.key, line.calls) for line in lines] == [("2026-11-30", 3), ("2026-12-01", 1)]


def test_what_is_not_known_is_no_zero() -> None:
    _, total = report([UNPRICED], "model", UTC)
    assert total is not None
    fields = as_fields(total, "total")
    assert fields["cost"] is None
    assert fields["unpriced_models"] == ["codex/openai/gpt-5.5"]
    text = "\n".join(as_table([], total, "model", {}))
    assert "no price known for codex/openai/gpt-5.5 (1 call)" in text
    assert "unknown" in text
    assert "$0" not in text


def test_a_part_of_the_cost_says_that_it_is_one() -> None:
    _, total = report(ALL, "model", UTC)
    text = "\n".join(as_table([], total, "model", {}))
    assert "$0.7500+" in text
    assert "1 call broke off before the provider said what they used" in text


@pytest.mark.parametrize("by", ["turn", "thread", "model", "day"])
def test_tables_are_80_columns_wide_at_most(by: By) -> None:
    many = Usage(987_654_321_000, 987_654_321_000, 987_654_321_000, 987_654_321_000)
    long = replace(KNOWN, model="a-model-with-a-name-that-never-ends-" * 4, usage=many)
    names = {KNOWN.thread: "A thread whose name is much longer than what a table has room for, and more"}
    lines, total = report([*ALL, long], by, UTC)
    text = list(as_table(lines, total, by, names))
    table = text[: text.index("")]
    assert len(table) == len(lines) + 3
    assert max(map(len, table)) <= 80


def test_what_is_charged_by_the_piece_is_said() -> None:
    both = Usage(1_000, searches=3, images=("low 1024x1024",))
    searched = replace(KNOWN, usage=both, unpriced_pieces=4)

    def said(*records: UsageRecord) -> str:
        _, total = report(records, "model", UTC)
        assert total is not None
        fields = as_fields(total, "total")
        assert (fields["web_searches"], fields["images"]) == (3 * len(records), len(records))
        assert fields["unpriced_pieces"] == sum(record.unpriced_pieces for record in records)
        return "\n".join(as_table([], total, "model", {}))

    assert "$0.5000+" in said(searched)
    assert "3 web searches and 1 image charged by the piece: not in the cost, for want" in said(searched)
    assert "1 image charged by the piece: in the cost" in said(replace(searched, unpriced_pieces=0))
    part = said(searched, replace(searched, unpriced_pieces=0))
    assert "6 web searches and 2 images charged by the piece: 4 of them not in the cost" in part


def test_nothing_is_said_in_words() -> None:
    assert list(as_table(*report([], "day", UTC), "day", {})) == ["No usage is kept of this."]


def test_chosen_by_time_thread_and_model() -> None:
    at = KNOWN.at
    assert chosen(ALL, since=at + timedelta(seconds=1)) == [LATER, UNPRICED, UNTOLD]
    assert chosen(ALL, until=UNTOLD.at) == [KNOWN, UNPRICED]
    assert chosen(ALL, threads=[UNPRICED.thread]) == [UNPRICED]
    assert chosen(ALL, model="codex/openai/gpt-5.5") == [UNPRICED]
    assert chosen(ALL, model="gpt-5.5") == ALL
    assert chosen(ALL, model="5.5") == []


NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("7d", NOW - timedelta(days=7)),
        ("12h", NOW - timedelta(hours=12)),
        ("30m", NOW - timedelta(minutes=30)),
        ("2026-11-01T00:00:00+02:00", datetime(2026, 10, 31, 22, tzinfo=UTC)),
        ("2026-11-01", datetime(2026, 11, 1).astimezone()),
        (None, None),
    ],
)
def test_times_as_people_type_them(text: str | None, found: datetime | None) -> None:
    assert moment("--since", text, NOW) == found


@pytest.mark.parametrize("text", ["yesterday", "", "2026-13-01", "7 days"])
def test_a_time_that_is_none_says_how_to_write_one(text: str) -> None:
    with pytest.raises(UsageError, match="--since is no time"):
        moment("--since", text, NOW)
