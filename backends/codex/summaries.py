"""A thread that is too long to be told to Codex at once: the model summarises its beginning."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from backends.codex.app_server import AppServer
from backends.codex.bare import BareTurns
from backends.codex.history import parts, responses_items
from process_agent.core.backend import HistoryItem
from process_agent.core.recalled import SUMMARISE, SUMMARY
from process_agent.core.usage import Meter
from process_agent.errors import ProcessError

PATIENCE: Final = 120.0
"""Seconds that the summary of one part may take."""

MAX_PARTS: Final = 8
"""Parts that are summarised; of a longer beginning the middle is left out."""

MAX_SUMMARY: Final = 40_000
"""Characters of a summary that are kept."""

INSTRUCTIONS: Final = "You summarise conversations."


@dataclass(frozen=True, slots=True)
class Told:
    """What a Codex thread is told, and what people should know about it."""

    items: list[dict[str, Any]]
    notice: str | None = None


async def told(
    history: Sequence[HistoryItem],
    bare: BareTurns,
    server: AppServer,
    model: str | None,
    meter: Meter,
    *,
    senders: bool,
) -> Told:
    """The history as Codex takes it: the newest of it as it is, and a summary of what does not fit."""
    found = parts(history, senders=senders)
    if len(found) < 2:
        return Told(responses_items(history, senders=senders))
    newest, earlier = responses_items(found[-1], senders=senders), found[:-1]
    count, every = sum(map(len, earlier)), len(history)
    try:
        summary = await _summary(earlier, bare, server, model, meter, senders)
    except (ProcessError, TimeoutError) as error:
        return Told(
            newest,
            "This thread is longer than what Codex takes at once, and its beginning could not be summarised "
            f"({str(error) or 'the model took too long'}): of {every:,} messages and calls Codex knows the "
            f"last {every - count:,}.",
        )
    return Told(
        [_message(SUMMARY + summary), *newest],
        "This thread is longer than what Codex takes at once: the model summarised the first "
        f"{count:,} of {every:,} messages and calls for it.",
    )


async def _summary(
    earlier: Sequence[Sequence[HistoryItem]],
    bare: BareTurns,
    server: AppServer,
    model: str | None,
    meter: Meter,
    senders: bool,
) -> str:
    if len(earlier) > MAX_PARTS:
        earlier = [earlier[0], *earlier[1 - MAX_PARTS :]]
    summary = ""
    for part in earlier:
        before = [_message(SUMMARY + summary)] if summary else []
        items = [*before, *responses_items(part, senders=senders)]
        async with asyncio.timeout(PATIENCE):
            found = await bare.ask(server, model, INSTRUCTIONS, SUMMARISE, meter, "compaction", history=items)
        summary = found.strip()[:MAX_SUMMARY]
    return summary


def _message(text: str) -> dict[str, Any]:
    return {"type": "message", "role": "user", "content": [{"type": "input_text", "text": text}]}
