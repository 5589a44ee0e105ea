"""What `--backend` and `--model` mean together: which backends an agent has, and with which models."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from process_agent.core.model_names import BACKENDS, parse
from process_agent.core.models import ModelChoice
from process_agent.errors import UsageError

DEFAULT_MODEL = "gpt-5.5"
"""Used when neither `--model` nor `--backend` is given; data, not a promise: names change."""


@dataclass(frozen=True, slots=True)
class Selection:
    """The backends of an agent, in order of preference, each with the models named for it. `default` is the
    first model named, or None for the default of the first backend.
    """

    backends: tuple[tuple[str, tuple[ModelChoice, ...]], ...]
    default: ModelChoice | None


def select(backends: Sequence[str], models: Sequence[str], installed: Sequence[str] = ()) -> Selection:
    """What `--backend` and `--model` mean together: the backends named, with the models they have by
    themselves beside those named, and the backends of the other models with those only. With neither, the
    default model. Raises `UsageError`.
    """
    known = (*BACKENDS, *installed)
    for name in backends:
        if name not in known:
            raise UsageError(f"There is no backend {name!r}.", fix=f"Use one of: {', '.join(installed)}.")
    if not backends and not models:
        models = (DEFAULT_MODEL,)
    choices = [parse(text, known) for text in models]
    named: dict[str, list[ModelChoice]] = {name: [] for name in backends}
    for choice in choices:
        of_backend = named.setdefault(choice.backend, [])
        if choice not in of_backend:
            of_backend.append(choice)
    order = sorted(named, key=lambda name: not choices or name != choices[0].backend)
    return Selection(
        tuple((name, tuple(named[name])) for name in order),
        choices[0] if choices else None,
    )
