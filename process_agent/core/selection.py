"""Which model a wish means."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from process_agent.core.content import ErrorInfo
from process_agent.core.model_names import LLM, provider_of, readings
from process_agent.core.models import ModelChoice, ModelInfo, ProviderModels
from process_agent.core.requests import ModelWish

MAX_NAMED = 40
"""Most models an error names."""


class Catalogue:
    """The models one agent offers, in order of preference, and the one it uses when nobody chose."""

    def __init__(self, providers: Sequence[ProviderModels], default: ModelChoice) -> None:
        self.providers = tuple(providers)
        self.default = self.known(default) or default

    def known(self, choice: ModelChoice) -> ModelChoice | None:
        """The choice with its missing parts filled in; None when it is not on offer (any more)."""
        found = self._find(choice.backend, choice.provider, choice.model)
        return replace(found[0], effort=choice.effort) if found else None

    def resolve(self, wish: ModelWish, current: ModelChoice) -> ModelChoice | ErrorInfo:
        """The model a wish means, or why there is none.

        A wish may name a part only, and its model may be written as `core.model_names` says. A model of no
        named backend is the llm backend's, and where it has none, that of the only other backend that has
        one. Where several providers fit, the thread's current one wins, then the one its name tells, then
        the order of the catalogue.
        """
        wish = ModelWish(wish.backend or None, wish.provider or None, wish.model or None)
        if wish == ModelWish():
            return current
        if wish.model is None and self._fits(wish, current):
            return current
        for reading in readings(wish):
            found = self._find(reading.backend, reading.provider, reading.model)
            if found and reading.backend is None and reading.model is not None:
                found = [choice for choice in found if choice.backend == LLM] or found
                if len({choice.backend for choice in found}) > 1:
                    return _ambiguous(reading.model, found)
            if found:
                best = min(found, key=lambda choice: _distance(choice, current))
                return current if best.same_model(current) else best
        return self._refusal(wish)

    def info(self, choice: ModelChoice) -> ModelInfo | None:
        """What is known of a model."""
        for entry in self.providers:
            if (entry.backend, entry.name) == (choice.backend, choice.provider):
                return next((model for model in entry.models if model.name == choice.model), None)
        return None

    def names(self) -> list[str]:
        """Every model on offer as `backend/provider/model`."""
        return [f"{p.backend}/{p.name}/{m.name}" for p in self.providers for m in p.models]

    def _fits(self, wish: ModelWish, current: ModelChoice) -> bool:
        backend_fits = wish.backend in (None, current.backend)
        return backend_fits and wish.provider in (None, current.provider)

    def _find(self, backend: str | None, provider: str | None, model: str | None) -> list[ModelChoice]:
        return [
            ModelChoice(entry.backend, entry.name, model or entry.default_model)
            for entry in self.providers
            if backend in (None, entry.backend)
            and provider in (None, entry.name)
            and (model in (None, entry.default_model) or any(m.name == model for m in entry.models))
        ]

    def _refusal(self, wish: ModelWish) -> ErrorInfo:
        backends = _unique(p.backend for p in self.providers)
        if wish.backend is not None and wish.backend not in backends:
            text = f"There is no backend {wish.backend!r} in this agent; it has {', '.join(backends)}."
            return ErrorInfo(text, "unknown_backend")
        providers = _unique(p.name for p in self.providers if wish.backend in (None, p.backend))
        if wish.provider is not None and wish.provider not in providers:
            text = f"There is no provider {wish.provider!r} here; there is {', '.join(providers)}."
            return ErrorInfo(text, "unknown_provider")
        asked = "/".join(part for part in (wish.backend, wish.provider, wish.model) if part)
        names = self.names()
        more = f" and {len(names) - MAX_NAMED} more" if len(names) > MAX_NAMED else ""
        listed = ", ".join(names[:MAX_NAMED]) + more
        return ErrorInfo(f"No model here is called {asked!r}. There is: {listed}.", "unknown_model")


def _distance(choice: ModelChoice, current: ModelChoice) -> tuple[bool, bool, bool]:
    """Least for the current backend and provider, then the provider that the name tells; `min` keeps the
    order among equals.
    """
    elsewhere = choice.backend != current.backend
    other = not elsewhere and choice.provider != current.provider
    return elsewhere, other, choice.provider != provider_of(choice.model or "")


def _ambiguous(name: str, found: Sequence[ModelChoice]) -> ErrorInfo:
    names = ", ".join(f"{choice.backend}/{choice.provider}/{choice.model}" for choice in found)
    return ErrorInfo(f"{name!r} is several models here: {names}. Name one of them whole.", "unknown_model")


def _unique(names: Iterator[str]) -> list[str]:
    return list(dict.fromkeys(names))
