"""How people write models: on the command line, in `/model NAME`, and in a client's request.

gpt-5.5                 a bare name: the llm backend's, with the provider that the name tells
codex/gpt-5.5           a backend's model, of whichever provider it has
openai/gpt-5.2          a provider's model, the llm backend's
llm/openai/gpt-5.2      all three; what follows the provider is the model, slashes included
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from process_agent.core.models import ModelChoice
from process_agent.core.requests import ModelWish
from process_agent.errors import UsageError

LLM = "llm"
"""The backend of a name that says none."""

BACKENDS = (LLM, "codex", "chat")
"""Backends a name may begin with without being taken for a provider, installed or not."""

_PROVIDERS = (("claude-", "anthropic"), ("grok-", "grok"))
"""Provider of a bare model name by its beginning; all others are OpenAI's."""


def parse(text: str, backends: Sequence[str] = BACKENDS) -> ModelChoice:
    """What a name means where no list of models is at hand; a provider left open is the backend's own.
    Raises `UsageError` for what names nothing.
    """
    parts = text.strip().split("/")
    if not all(part.strip() for part in parts):
        raise UsageError(
            f"{text!r} is not a model.", fix="Write it like gpt-5.5, codex/gpt-5.5 or llm/openai/gpt-5.5."
        )
    match parts:
        case [model]:
            return ModelChoice(LLM, provider_of(model), model)
        case [first, model] if first in backends:
            return ModelChoice(first, provider_of(model) if first == LLM else None, model)
        case [provider, model]:
            return ModelChoice(LLM, provider, model)
        case [backend, provider, *rest] if backend in backends:
            return ModelChoice(backend, provider, "/".join(rest))
        case _:
            raise UsageError(
                f"{text!r} names the backend {parts[0]!r}, which does not exist.",
                fix=f"Backends are: {', '.join(dict.fromkeys(backends))}.",
            )


def readings(wish: ModelWish) -> Iterator[ModelWish]:
    """What a wish can mean where there is a list to look it up in, most literal first: models may have
    slashes in their names, and clients may put the whole name where the model belongs.
    """
    yield wish
    if wish.model is None or "/" not in wish.model:
        return
    first, rest = wish.model.split("/", 1)
    if wish.backend in (None, first):
        if wish.provider is None and "/" in rest:
            provider, model = rest.split("/", 1)
            yield ModelWish(first, provider, model)
        yield ModelWish(first, wish.provider, rest)
    if wish.provider in (None, first):
        yield ModelWish(wish.backend, first, rest)


def provider_of(model: str) -> str:
    """The provider that a bare model name tells."""
    return next((provider for prefix, provider in _PROVIDERS if model.startswith(prefix)), "openai")
