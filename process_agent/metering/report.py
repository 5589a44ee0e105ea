"""From records to a report: one line for each turn, thread, model or day. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, tzinfo
from typing import Final, Literal

from process_agent.core.content import Json
from process_agent.core.usage import Usage, UsageRecord

type By = Literal["turn", "thread", "model", "day"]

KINDS: Final[tuple[By, ...]] = ("turn", "thread", "model", "day")


@dataclass(slots=True)
class Line:
    """The sum of some records. `cost` is what is known of it, in US dollars; `unpriced` are the calls of
    models whose price nobody knows, by model, and `untold` those that broke off before the provider said what
    they used; `pieces` are searches and images that are not in the cost. `first` and `last` are the times of
    the earliest and the latest call.
    """

    key: str
    first: datetime
    last: datetime
    thread: str = ""
    agent: str = ""
    model: str = ""
    calls: int = 0
    usage: Usage = field(default_factory=Usage)
    cost: float | None = None
    unpriced: dict[str, int] = field(default_factory=dict)
    untold: int = 0
    pieces: int = 0
    broken: int = 0

    def add(self, record: UsageRecord) -> None:
        """One more call."""
        self.calls += 1
        self.first, self.last = min(self.first, record.at), max(self.last, record.at)
        self.broken += not record.whole
        if record.usage is None:
            self.untold += 1
            return
        self.usage += record.usage
        self.pieces += record.unpriced_pieces
        if record.cost is not None:
            self.cost = (self.cost or 0.0) + record.cost
        else:
            name = name_of(record)
            self.unpriced[name] = self.unpriced.get(name, 0) + 1


def name_of(record: UsageRecord) -> str:
    """The full name of the model, as `/model` takes it."""
    return "/".join(part for part in (record.backend, record.provider, record.model) if part)


def report(records: Iterable[UsageRecord], by: By, zone: tzinfo | None) -> tuple[list[Line], Line | None]:
    """The lines, and the total; None when there was nothing. Days are those of `zone`, None being the
    machine's; they come in order, everything else with the latest first.
    """
    key = _KEYS[by]
    lines: dict[str, Line] = {}
    total: Line | None = None
    for record in records:
        name = record.at.astimezone(zone).date().isoformat() if key is None else key(record)
        line = lines.get(name)
        if line is None:
            line = lines[name] = _line(name, by, record)
        line.add(record)
        if total is None:
            total = Line("total", record.at, record.at)
        total.add(record)
    if by == "day":
        return [lines[name] for name in sorted(lines)], total
    return sorted(lines.values(), key=lambda line: line.last, reverse=True), total


def chosen(
    records: Iterable[UsageRecord],
    *,
    since: datetime | None = None,
    until: datetime | None = None,
    threads: Sequence[str] | None = None,
    model: str | None = None,
) -> list[UsageRecord]:
    """Those from `since` on and before `until`, of these threads, of models whose full name is `model` or
    ends with it.
    """
    return [
        record
        for record in records
        if (since is None or record.at >= since)
        and (until is None or record.at < until)
        and (threads is None or record.thread in threads)
        and (model is None or _fits(name_of(record), model))
    ]


def as_fields(line: Line, by: str) -> dict[str, Json]:
    """A line for machines. `cost` is null when nothing of it is known, and a part when `unpriced_calls` or
    `unreported_calls` are not 0.
    """
    found: dict[str, Json] = {"by": by, "key": line.key}
    if line.thread:
        found["thread"] = line.thread
    if line.agent:
        found["agent"] = line.agent
    if line.model:
        found["model"] = line.model
    unpriced: list[Json] = [*sorted(line.unpriced)]
    return {
        **found,
        "calls": line.calls,
        "input_tokens": line.usage.input,
        "cached_tokens": line.usage.cached,
        "cache_written_tokens": line.usage.written,
        "output_tokens": line.usage.output,
        "reasoning_tokens": line.usage.reasoning,
        "web_searches": line.usage.searches,
        "images": len(line.usage.images),
        "unpriced_pieces": line.pieces,
        "cost": None if line.cost is None else round(line.cost, 9),
        "unpriced_calls": sum(line.unpriced.values()),
        "unpriced_models": unpriced,
        "unreported_calls": line.untold,
        "broken_calls": line.broken,
        "first": line.first.isoformat(),
        "last": line.last.isoformat(),
    }


def _line(name: str, by: By, record: UsageRecord) -> Line:
    line = Line(name, record.at, record.at)
    if by in ("turn", "thread"):
        line.thread, line.agent = record.thread, record.agent
    if by == "turn":
        line.model = name_of(record)
    return line


def _fits(name: str, wanted: str) -> bool:
    return name == wanted or name.endswith("/" + wanted)


_KEYS: Final[dict[By, Callable[[UsageRecord], str] | None]] = {
    "turn": lambda record: record.turn or record.id,
    "thread": lambda record: record.thread,
    "model": name_of,
    "day": None,
}
