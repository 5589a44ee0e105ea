"""What a Codex turn is told beside its input: rules, model, effort, the form of the answer. Pure.

Rules go into Codex's collaboration mode (tried with 0.163.0). Codex compares its text with what the thread
was told last and adds one developer message when it differs; it does so again after a compaction, and knows
what was said after a restart of its own. An injected message is lost with the first compaction, and developer
instructions are fixed when a thread is made: those of a resumed thread count from the next compaction on.

A mode also sets model and effort, so that an effort does not stay for later turns. It stays until another one
is given, and giving one costs Codex 2 to 3 ms each time, also the same (0.163.0; docs/codex.md).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from process_agent.core.backend import TurnInput
from process_agent.errors import TurnRefusedError, UsageError

RULES: Final = "What follows holds from here on, in place of whatever stood here before.\n\n"
NO_RULES: Final = "No further rules hold from here on."
MODE: Final = "collaborationMode"


@dataclass(frozen=True, slots=True)
class Efforts:
    """How much models reason: the operator's or the user's own wish, and the levels each model has."""

    default: str | None = None
    levels: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def check_default(self, model: str) -> None:
        """Raise `UsageError` when the agent's own model does not have the level that was asked for."""
        if self.default is not None and not self._has(model, self.default):
            raise UsageError(f"--reasoning-effort: {self._refusal(model, self.default)}")

    def of(self, model: str, wish: str | None) -> str | None:
        """The level of a turn, None for the model's own. Raises `TurnRefusedError` for a wish it does not
        have; where a default does not fit, the model's own counts.
        """
        if wish is not None and not self._has(model, wish):
            raise TurnRefusedError(self._refusal(model, wish), code="unknown_effort")
        default = self.default if self.default is not None and self._has(model, self.default) else None
        return wish or default

    def _has(self, model: str, level: str) -> bool:
        return level in self.levels.get(model, (level,))

    def _refusal(self, model: str, level: str) -> str:
        return f"{model} has no reasoning effort {level!r}; it has {', '.join(self.levels[model])}."


def turn_settings(turn: TurnInput, model: str, efforts: Efforts, texts: Iterable[str]) -> dict[str, Any]:
    """Members of `turn/start` beside thread and input; `texts` are told beside the turn's own rules. Codex
    records the id of the turn with the message. Raises `TurnRefusedError` when the model lacks the effort.
    """
    said = "\n\n".join(text for text in (turn.rules or "", *texts) if text)
    mode = {
        "model": model,
        "reasoning_effort": efforts.of(model, turn.effort),
        "developer_instructions": RULES + said if said else NO_RULES,
    }
    settings: dict[str, Any] = {
        "clientUserMessageId": turn.turn_id,
        MODE: {"mode": "default", "settings": mode},
    }
    if turn.output_schema is not None:
        settings["outputSchema"] = dict(turn.output_schema)
    return settings


def unsaid(settings: Mapping[str, Any], mode: object) -> dict[str, Any]:
    """Those of a turn that a Codex thread with this mode has to be told."""
    return {name: value for name, value in settings.items() if name != MODE or value != mode}
