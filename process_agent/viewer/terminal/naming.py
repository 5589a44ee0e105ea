"""What the arguments of slash commands name: models and threads. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from process_agent.core.content import ErrorInfo
from process_agent.core.model_names import LLM
from process_agent.core.models import ModelChoice, ModelInfo, ProviderModels
from process_agent.core.requests import ModelWish
from process_agent.core.selection import Catalogue
from process_agent.core.store import ThreadEntry
from process_agent.errors import UsageError


def model_names(providers: Sequence[ProviderModels]) -> Iterator[tuple[str, ProviderModels, ModelInfo]]:
    """Each model with the shortest name that is unique: `NAME`, `BACKEND/NAME` or all three parts."""
    entries = [(provider, model) for provider in providers for model in provider.models]
    names = [model.name for _, model in entries]
    pairs = [(provider.backend, model.name) for provider, model in entries]
    for provider, model in entries:
        if names.count(model.name) == 1:
            yield model.name, provider, model
        elif pairs.count((provider.backend, model.name)) == 1:
            yield f"{provider.backend}/{model.name}", provider, model
        else:
            yield f"{provider.backend}/{provider.name}/{model.name}", provider, model


def resolve_model(
    text: str, providers: Sequence[ProviderModels], current: ModelChoice | None = None
) -> ModelWish:
    """The model a text names, by the agent's own rule: see `Catalogue.resolve`. `current` is the thread's.

    Raises `UsageError` that lists what is on offer, or the candidates when there are several.
    """
    if not text.strip():
        raise UsageError(
            "No model is named.", fix="Write it like gpt-5.5, codex/gpt-5.5 or llm/openai/gpt-5.5."
        )
    nobodys = ModelChoice(LLM)
    meant = Catalogue(providers, nobodys).resolve(ModelWish(model=text), current or nobodys)
    if isinstance(meant, ErrorInfo):
        raise UsageError(meant.message)
    return ModelWish(meant.backend, meant.provider, meant.model)


def full_name(wish: ModelWish) -> str:
    """All that a wish names, as `/model` takes it."""
    return "/".join(part for part in (wish.backend, wish.provider, wish.model) if part)


def resolve_thread(ref: str, listed: Sequence[ThreadEntry], *, see: str = "/threads") -> ThreadEntry:
    """The thread a text names: its number in the list (1 being the newest), its path, the start of its
    id, or its name. Raises `UsageError`, naming `see` as the place to look, when it is none or several.
    """
    if ref.isdecimal() and 1 <= int(ref) <= len(listed):
        return listed[int(ref) - 1]
    for matches in (
        [t for t in listed if t.path == ref],
        [t for t in listed if t.path.rsplit("/", 1)[-1].startswith(ref)],
        [t for t in listed if t.name.casefold() == ref.casefold()],
    ):
        if len(matches) == 1:
            return matches[0]
        if matches:
            raise UsageError(f"{len(matches)} threads fit {ref!r}.", fix="Give more of the id.")
    raise UsageError(f"There is no thread {ref!r}.", fix=f"{see} lists them.")
