"""Models on offer, from what the operator named or from what Codex lists."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from backends.codex.account import Account, models_of
from backends.codex.catalogue import Windows
from backends.codex.shapes import as_list, dicts
from process_agent.core.backend import BackendConfig
from process_agent.core.models import KnownModels, ModelChoice, ModelFacts, ModelInfo, ProviderModels

OPENAI = "openai"


def provider_models(
    backend: str,
    config: BackendConfig,
    account: Account,
    listed: Sequence[dict[str, Any]],
    windows: Windows,
) -> tuple[ProviderModels, ...]:
    """The account's models, and those of each further provider; `listed` is the answer to `model/list`."""
    default = default_choice(backend, config, account, listed)
    known = by_name(listed)

    def offer(name: str, friendly: str, models: Sequence[str], account: Account) -> ProviderModels:
        active = default.model if default.provider == name else None
        infos = tuple(
            _info(m, known.get(m, {}), account, Known(windows, config.facts, name), m == active)
            for m in models
        )
        return ProviderModels(name, friendly, backend, active or next(iter(models), None), infos)

    offers = []
    others = [endpoint for endpoint in config.endpoints if models_of(config, endpoint)]
    if account.provider not in {endpoint.name for endpoint in others}:
        listed_names = [n for n, model in known.items() if not model.get("hidden") and n not in account.extra]
        pinned = models_of(config, None)
        names = list(dict.fromkeys([*pinned, *listed_names])) if config.beside_defaults else pinned
        names = names or listed_names
        friendly = account.label if account.scripted else "Codex"
        offers.append(offer(provider_name(account), friendly, names, account))
    free = replace(account, base_url=None)  # what others charge is not known
    return (*offers, *(offer(each.name, each.name, models_of(config, each), free) for each in others))


def default_choice(
    backend: str, config: BackendConfig, account: Account | None, listed: Sequence[dict[str, Any]]
) -> ModelChoice:
    """The first named model, that of the account, or the one Codex marks as default."""
    provider = provider_name(account) if account else None
    pinned = next((choice for choice in config.models if choice.model), None)
    if pinned is not None and pinned.provider in {endpoint.name for endpoint in config.endpoints}:
        return ModelChoice(backend, pinned.provider, pinned.model)
    marked = next((model for model in listed if model.get("isDefault")), None)
    own = account.model if account else None
    name = (
        (pinned.model if pinned else None)
        or own
        or (str(marked.get("model") or marked.get("id")) if marked else None)
    )
    return ModelChoice(backend, provider, name)


def by_name(listed: Sequence[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """The models that Codex lists, by the names that turns use."""
    return {str(model.get("model") or model.get("id")): model for model in listed}


def efforts_of(listed: dict[str, Any]) -> tuple[str, ...]:
    """The reasoning efforts of a model, from the least on; empty where Codex does not say."""
    levels = [level.get("reasoningEffort") for level in dicts(listed.get("supportedReasoningEfforts"))]
    return tuple(level for level in levels if isinstance(level, str) and level)


def provider_name(account: Account) -> str:
    """The provider in model specs."""
    return account.provider if account.scripted and account.provider else "openai"


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of models beside what Codex lists."""

    windows: Windows
    facts: KnownModels
    provider: str


def _info(name: str, listed: dict[str, Any], account: Account, known: Known, active: bool) -> ModelInfo:
    window = known.windows.get(name)
    # OpenAI's list is for its own API: behind a login, a proxy or the scripted model it says nothing.
    listed_price = account.priced or known.provider != OPENAI
    facts = (listed_price and known.facts.get((known.provider, name))) or ModelFacts()
    accepts = as_list(listed.get("inputModalities"))
    friendly = account.label if account.scripted else listed.get("displayName") or facts.friendly_name
    return ModelInfo(
        name=name,
        friendly_name=str(friendly) if friendly else None,
        description=str(listed["description"]) if listed.get("description") else None,
        context_window=window.usable if window else facts.context_window,
        accepts=tuple(kind for kind in accepts if isinstance(kind, str) and kind != "text"),
        active=active,
        pricing=facts.pricing,
        efforts=efforts_of(listed),
        default_effort=str(listed.get("defaultReasoningEffort") or "") or None,
    )
