"""Which models are on offer: those that were named, or those that providers have by default. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from typing import Final

from process_agent.core.backend import BackendConfig, ToolkitInfo
from process_agent.core.hosting import IMAGES, WEB_SEARCH, ProviderTool
from process_agent.core.models import ModelChoice, ModelInfo, ProviderModels, facts_of
from process_agent.core.providers import ModelProvider
from process_agent.errors import AuthError, UsageError

DEFAULTS: Final = ("openai", "anthropic")
"""Providers whose default models are offered when none was named."""

OTHER_WAYS: Final = (
    "Or use Codex and its login with --backend codex, have a hosted room's project pay with --provider "
    "meshagent, or pass `--provider scripted` for a demonstration."
)

_ACCEPTS: Final = ("image",)


@dataclass(frozen=True, slots=True)
class Offer:
    """Models by provider, in order of preference."""

    models: tuple[ProviderModels, ...]
    default: ModelChoice
    providers: tuple[ModelProvider, ...] = ()

    def provider(self, name: str) -> ModelProvider | None:
        """The provider of this name."""
        return next((provider for provider in self.providers if provider.name == name), None)

    def window(self, choice: ModelChoice) -> int | None:
        """Tokens of a model's context, if known."""
        for entry in self.models:
            for model in entry.models:
                if (entry.name, model.name) == (choice.provider, choice.model):
                    return model.context_window
        return None

    @property
    def hosts_tools(self) -> AbstractSet[ProviderTool]:
        """The tools that providers run themselves."""
        searching = any(provider.web_search for provider in self.providers)
        making = any(provider.image_generation for provider in self.providers)
        return (WEB_SEARCH if searching else frozenset()) | (IMAGES if making else frozenset())

    def lines(self) -> tuple[tuple[str, str], ...]:
        """Lines of the start summary."""
        return tuple(
            ("models", f"{', '.join(model.name for model in entry.models)}, {_of(entry)}")
            for entry in self.models
        )


def _of(entry: ProviderModels) -> str:
    """Whose models they are: two providers may be one server, which is called the same."""
    same = entry.name == entry.friendly_name.lower()
    return entry.friendly_name if same else f"{entry.friendly_name} ({entry.name})"


def make_offer(backend: str, config: BackendConfig) -> Offer:
    """What the configuration asks for. Raises `AuthError` when there is no key, and `UsageError` for a
    provider that nobody knows.
    """
    known = {provider.name: provider for provider in config.providers}
    wanted = [(choice.provider or "openai", choice.model) for choice in config.models]
    for name, _ in wanted:
        _check(name, known)
    if not wanted or config.beside_defaults:
        defaults = [known[name] for name in DEFAULTS if name in known]
        usable = [(p.name, p.default_model) for p in defaults if p.usable and p.default_model]
        wanted += [found for found in usable if found not in wanted]
    if not wanted:
        raise _no_key([known[name] for name in DEFAULTS if name in known])
    order = list(dict.fromkeys(name for name, _ in wanted))
    models = [_models(backend, known[name], [m for n, m in wanted if n == name], config) for name in order]
    first, model = wanted[0]
    default = ModelChoice(backend, first, model or known[first].default_model)
    return Offer(tuple(models), default, tuple(known[name] for name in order))


def hosted_lines(offer: Offer, config: BackendConfig) -> tuple[tuple[str, str], ...]:
    """Lines of the start summary about tools of providers: who has those that were asked for."""
    searching = [p for p in offer.providers if p.web_search] if config.web_search else []
    making = [p for p in offer.providers if p.image_generation] if config.image_model else []
    found = []
    if searching:
        found.append(("web search", ", ".join(provider.friendly_name for provider in searching)))
    if making:
        who = ", ".join(provider.friendly_name for provider in making)
        found.append(("image generation", f"{config.image_model}, {who}"))
    return tuple(found)


def hosted_toolkits(offer: Offer, config: BackendConfig) -> tuple[ToolkitInfo, ...]:
    """Tools of providers, as clients list them."""
    found = []
    for provider in offer.providers:
        tools = []
        if config.web_search and provider.web_search:
            tools.append(("web_search", "Searches the web."))
        if config.image_model and provider.image_generation:
            tools.append(("image_generation", "Makes images."))
        if tools:
            found.append(ToolkitInfo(provider.name, provider.friendly_name, tuple(tools)))
    return tuple(found)


def _models(
    backend: str, provider: ModelProvider, named: Sequence[str | None], config: BackendConfig
) -> ProviderModels:
    wanted = dict.fromkeys(name or provider.default_model for name in named)
    names = [name for name in wanted if name]
    default = names[0] if names else None
    models = tuple(_info(name, provider, config, name == default) for name in names)
    return ProviderModels(provider.name, provider.friendly_name, backend, default, models)


def _info(name: str, provider: ModelProvider, config: BackendConfig, active: bool) -> ModelInfo:
    known, image_model = config.facts, config.image_model
    facts = facts_of(known, provider.name, name)
    pricing = facts.pricing if provider.listed else None
    if pricing is not None and image_model is not None and provider.image_generation:
        making = facts_of(known, provider.name, image_model)
        pricing = replace(pricing, images=making.images)
    efforts = provider.efforts_of(name)
    return ModelInfo(
        name,
        facts.friendly_name,
        context_window=facts.context_window,
        accepts=_ACCEPTS,
        active=active,
        pricing=pricing,
        efforts=efforts or (),
        takes_efforts=efforts != (),
    )


def _check(name: str, known: dict[str, ModelProvider]) -> None:
    provider = known.get(name)
    if provider is None:
        raise UsageError(
            f"There is no provider {name!r}; there is {', '.join(known) or 'none'}.",
            fix="Add it to your providers.toml (docs/llm.md says how).",
        )
    if not provider.usable:
        raise _no_key([provider])


def _no_key(providers: Sequence[ModelProvider]) -> AuthError:
    names = " or ".join(provider.friendly_name for provider in providers) or "any provider"
    keys = " or ".join(provider.key_variable for provider in providers if provider.key_variable)
    return AuthError(f"There is no key for models of {names}.", fix=f"Set {keys or 'its key'}. {OTHER_WAYS}")
