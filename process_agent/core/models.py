"""Which models an agent offers, and which one a thread uses."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class ModelChoice:
    """A model by its full name. None means "the backend's (provider's) default"."""

    backend: str
    provider: str | None = None
    model: str | None = None


@dataclass(frozen=True, slots=True)
class Pricing:
    """US dollars for a million tokens; `cached` for input read from the provider's cache."""

    input: float
    output: float
    cached: float | None = None


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """One model as a picker shows it; `context_window` in tokens."""

    name: str
    friendly_name: str | None = None
    description: str | None = None
    context_window: int | None = None
    accepts: tuple[str, ...] = ()
    active: bool = False
    pricing: Pricing | None = None


@dataclass(frozen=True, slots=True)
class ProviderModels:
    """The models of one provider behind one backend; the key of a model is (backend, provider, model)."""

    name: str
    friendly_name: str
    backend: str
    default_model: str | None
    models: tuple[ModelInfo, ...] = field(default=())
