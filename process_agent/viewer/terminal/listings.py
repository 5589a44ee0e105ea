"""The tables that commands of the terminal show, as rows of texts. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from process_agent.core.ids import ThreadId
from process_agent.core.models import ProviderModels
from process_agent.core.store import ThreadEntry
from process_agent.core.usage import Usage
from process_agent.viewer.terminal import commands as c
from process_agent.viewer.terminal.naming import model_names
from process_agent.viewer.terminal.plain import money, quantity
from process_agent.viewer.transcript import Transcript

_KEYS = (
    ("Enter", "send; while a turn runs, tell it something or queue the next one"),
    ("Alt-Enter", "a new line"),
    ("Ctrl-C", "stop the turn; again to leave"),
    ("Ctrl-D", "leave"),
)

HELP = [*((f"{name} {argument}".strip(), text) for name, (argument, text) in c.COMMANDS.items()), *_KEYS]
"""Commands and keys with what they do."""


def threads(listed: Sequence[ThreadEntry], here: ThreadId | None) -> list[tuple[str, ...]]:
    """The threads with their numbers and times, with a sign at the open one."""
    rows: list[tuple[str, ...]] = []
    for number, entry in enumerate(listed, 1):
        moment = entry.modified_at.astimezone().strftime("%Y-%m-%d %H:%M")
        rows.append((f"{'›' if entry.path == here else ' '}{number:3}", moment, entry.name or "(no name)"))
    return rows


def figures(transcript: Transcript) -> Iterator[tuple[str, str]]:
    """What a thread used: its model's context, and the tokens and the cost of the turns that are known."""
    if (window := transcript.context) is not None:
        of = f" of {quantity(window.total)} tokens" if window.total else " tokens"
        at = f", shortened at {quantity(window.compacts_at)}" if window.compacts_at else ""
        yield "context", f"{quantity(window.used)}{of}{at}"
    used = sum((turn.usage for turn in transcript.turns if turn.usage), Usage())
    if used.total:
        incoming = f"{quantity(used.input)} in ({quantity(used.cached)} cached)"
        yield "tokens", f"{incoming}, {quantity(used.output)} out"
    if transcript.cost is not None:
        yield "cost", money(transcript.cost)


def models(providers: Sequence[ProviderModels], current: str | None) -> list[tuple[str, ...]]:
    """The models on offer, with a sign at the one in use."""
    rows: list[tuple[str, ...]] = []
    for word, provider, model in model_names(providers):
        sign = "›" if model.name == current or (current is None and model.active) else " "
        rows.append(
            (f"{sign} {word}", provider.friendly_name, model.description or model.friendly_name or "")
        )
    return rows or [("no models", "the agent offers none")]
