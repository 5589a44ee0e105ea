"""What `/usage` says. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Final

from process_agent.core.usage import UsageQuestion, UsageRecord
from process_agent.metering.report import Line, chosen, report

NOT_KEPT = (
    "Usage is not kept here: this agent is in no room, or keeps its threads elsewhere (`--thread-storage`)."
)

MAX_MODELS: Final = 20
"""Models that are listed, those used last."""


def usage_text(records: Sequence[UsageRecord], thread: str, since: datetime, question: UsageQuestion) -> str:
    """What a thread used, and unless only that is asked, what the agent used since then: today."""
    parts = ["\n".join(_sum("This thread", chosen(records, threads=[thread])))]
    if question is UsageQuestion.THREAD_AND_TODAY:
        today = chosen(records, since=since)
        what = f"Today, {since.date().isoformat()}, in all threads of this agent"
        parts.append("\n".join(_sum(what, today)))
    return "\n\n".join(parts)


def _sum(what: str, records: Sequence[UsageRecord]) -> Iterator[str]:
    lines, total = report(records, "model", None)
    if total is None:
        yield f"{what}: nothing was used."
        return
    yield f"{what}: {_cost(total)}, {_figures(total)}."
    yield ""
    for line in lines[:MAX_MODELS]:
        yield f"- `{line.key}`: {_cost(line)}, {_figures(line)}"
    if len(lines) > MAX_MODELS:
        yield f"- and {len(lines) - MAX_MODELS} more"
    for note in _notes(total):
        yield ""
        yield note


def _figures(line: Line) -> str:
    usage = line.usage
    calls = "1 call" if line.calls == 1 else f"{line.calls:,} calls"
    cached = f" ({usage.cached:,} cached)" if usage.cached else ""
    return f"{calls}, {usage.input:,} tokens in{cached}, {usage.output:,} out"


def _cost(line: Line) -> str:
    if line.cost is None:
        return "cost unknown"
    more = "at least " if line.unpriced or line.untold or line.pieces else ""
    return f"{more}${line.cost:,.4f}"


def pieces_text(total: Line) -> str | None:
    """What is charged by the piece, and whether it is in the cost; None when there is nothing of the kind."""
    searches, images = total.usage.searches, len(total.usage.images)
    counts = ((searches, "web search", "web searches"), (images, "image", "images"))
    found = [f"1 {one}" if count == 1 else f"{count:,} {many}" for count, one, many in counts if count]
    if not found:
        return None
    if not total.pieces:
        return f"{' and '.join(found)} charged by the piece: in the cost."
    every = total.pieces == searches + images
    without = "not in the cost" if every else f"{total.pieces:,} of them not in the cost"
    return f"{' and '.join(found)} charged by the piece: {without}, for want of a price."


def _notes(total: Line) -> Iterator[str]:
    if total.unpriced:
        names = ", ".join(f"`{name}`" for name in sorted(total.unpriced)[:MAX_MODELS])
        yield f"No price is known for {names}."
    if total.untold:
        calls = "1 call" if total.untold == 1 else f"{total.untold:,} calls"
        yield f"{calls} broke off before the provider said what they used."
    if (made := pieces_text(total)) is not None:
        yield made
