"""Which models an agent offers, and which one a thread uses."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final


@dataclass(frozen=True, slots=True)
class ModelChoice:
    """A model by its full name. None means "the backend's (provider's) default". `effort` is how much it is
    to reason, as the model's provider calls it; None is the agent's or the model's own.
    """

    backend: str
    provider: str | None = None
    model: str | None = None
    effort: str | None = None

    def same_model(self, other: ModelChoice) -> bool:
        """Whether both name one model, whatever the effort."""
        mine, theirs = (self.backend, self.provider, self.model), (other.backend, other.provider, other.model)
        return mine == theirs


@dataclass(frozen=True, slots=True)
class Pricing:
    """US dollars for a million tokens; `cached` for input read from the provider's cache, `written` for input
    put there. `search` is for a thousand searches of the web, `images` for one image by quality and size
    (`high 1024x1024`).
    """

    input: float
    output: float
    cached: float | None = None
    written: float | None = None
    search: float | None = None
    images: Mapping[str, float] = field(default_factory=dict, hash=False)


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """What is known of a model from elsewhere than its backend; `source` says from where. None: not known.
    `search` and `images` are prices as in `Pricing`; a model that makes images has no other.
    """

    friendly_name: str | None = None
    context_window: int | None = None
    pricing: Pricing | None = None
    source: str | None = None
    search: float | None = None
    images: Mapping[str, float] = field(default_factory=dict, hash=False)


type KnownModels = Mapping[tuple[str, str], ModelFacts]
"""By provider and model."""

_DATED: Final = re.compile(r"-(?:\d{8}|\d{4}-\d{2}-\d{2})$")


def facts_of(known: KnownModels, provider: str, model: str) -> ModelFacts:
    """What is known of a model. One that is named with the day it was made (`claude-opus-4-5-20251101`) is
    the model of that name, unless more is known of it.
    """
    return known.get((provider, model)) or known.get((provider, _DATED.sub("", model))) or ModelFacts()


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """One model as a picker shows it; `context_window` in tokens, `efforts` from the least on, empty where
    they are not known, or where it takes none (`takes_efforts`).
    """

    name: str
    friendly_name: str | None = None
    description: str | None = None
    context_window: int | None = None
    accepts: tuple[str, ...] = ()
    active: bool = False
    pricing: Pricing | None = None
    efforts: tuple[str, ...] = ()
    default_effort: str | None = None
    takes_efforts: bool = True

    def has_effort(self, level: str) -> bool:
        """Whether it may be asked to reason that much, as far as that is known."""
        return self.takes_efforts and (not self.efforts or level in self.efforts)


@dataclass(frozen=True, slots=True)
class ProviderModels:
    """The models of one provider behind one backend; the key of a model is (backend, provider, model)."""

    name: str
    friendly_name: str
    backend: str
    default_model: str | None
    models: tuple[ModelInfo, ...] = field(default=())
