"""How much models are to reason: a wish that a model cannot follow is refused, not left out unsaid. Pure.

The same holds for Codex: what a turn or its thread wishes for must be there; where the agent's own default
does not fit a model, the model's own measure counts, and the start summary says so.
"""

from __future__ import annotations

from collections.abc import Sequence

from backends.llm.offer import Offer
from process_agent.core.models import ModelInfo
from process_agent.core.providers import ModelProvider
from process_agent.errors import TurnRefusedError


def effort_of(provider: ModelProvider, model: str, wish: str | None, default: str | None) -> str | None:
    """The level of a turn, None for the model's own. Raises `TurnRefusedError` for one that it lacks."""
    levels = provider.efforts_of(model)
    if wish is not None and not _has(levels, wish):
        raise TurnRefusedError(_refusal(model, wish, levels or ()), code="unknown_effort")
    return wish or (default if default is not None and _has(levels, default) else None)


def effort_lines(offer: Offer, default: str | None) -> tuple[tuple[str, str], ...]:
    """The line of the start summary about the agent's default, if it has one."""
    if default is None:
        return ()
    without = [
        f"{entry.name}/{model.name} ({_why(model)})"
        for entry in offer.models
        for model in entry.models
        if not model.has_effort(default)
    ]
    return (("reasoning effort", f"{default}, not for {', '.join(without)}" if without else default),)


def _has(levels: Sequence[str] | None, level: str) -> bool:
    return levels is None or level in levels


def _refusal(model: str, level: str, levels: Sequence[str]) -> str:
    if not levels:
        return f"{model} takes no reasoning effort, not even {level!r}; `/effort default` ends the wish."
    return f"{model} has no reasoning effort {level!r}; it has {', '.join(levels)}."


def _why(model: ModelInfo) -> str:
    return f"has {', '.join(model.efforts)}" if model.efforts else "takes none"
