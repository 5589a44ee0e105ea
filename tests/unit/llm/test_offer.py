from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from backends.llm.offer import make_offer
from process_agent.core.backend import BackendConfig
from process_agent.core.models import ModelChoice, ModelFacts, Pricing
from process_agent.core.providers import ModelProvider
from process_agent.errors import AuthError, UsageError

OPENAI = ModelProvider(
    "openai", "OpenAI", "responses", "https://o", "k", "OPENAI_API_KEY", default_model="gpt-d"
)
CLAUDE = ModelProvider(
    "anthropic", "Anthropic", "messages", "https://a", None, "ANTHROPIC_API_KEY", default_model="c-d"
)
LOCAL = ModelProvider("ollama", "Ollama", "chat", "http://l", local=True)
FACTS = {("openai", "gpt-x"): ModelFacts("GPT X", 1000, Pricing(1, 2))}


def config(*models: tuple[str, str], **settings: object) -> BackendConfig:
    named = tuple(ModelChoice("llm", provider, model) for provider, model in models)
    base = BackendConfig("bot", Path(), Path(), named, providers=(OPENAI, CLAUDE, LOCAL), facts=FACTS)
    return replace(base, **settings)  # type: ignore[arg-type]


def names(wanted: BackendConfig) -> list[tuple[str, list[str]]]:
    return [
        (entry.name, [model.name for model in entry.models]) for entry in make_offer("llm", wanted).models
    ]


def test_named_models_only_in_their_order() -> None:
    wanted = config(("ollama", "qwen"), ("openai", "gpt-x"), ("ollama", "llama"))
    assert names(wanted) == [("ollama", ["qwen", "llama"]), ("openai", ["gpt-x"])]
    assert make_offer("llm", wanted).default == ModelChoice("llm", "ollama", "qwen")


def test_defaults_for_which_there_is_a_key() -> None:
    assert names(config()) == [("openai", ["gpt-d"])]
    with_claude = config(providers=(OPENAI, replace(CLAUDE, key="k")))
    assert names(with_claude) == [("openai", ["gpt-d"]), ("anthropic", ["c-d"])]
    beside = config(("openai", "gpt-x"), beside_defaults=True)
    assert names(beside) == [("openai", ["gpt-x", "gpt-d"])]


def test_without_a_key_it_says_which_to_set() -> None:
    with pytest.raises(AuthError, match="Set ANTHROPIC_API_KEY"):
        make_offer("llm", config(("anthropic", "c")))
    with pytest.raises(AuthError, match="Set OPENAI_API_KEY or ANTHROPIC_API_KEY"):
        make_offer("llm", config(providers=(replace(OPENAI, key=None), CLAUDE)))
    with pytest.raises(UsageError, match="no provider 'nobody'"):
        make_offer("llm", config(("nobody", "x")))


def test_what_is_known_of_a_model_is_told_and_prices_count_for_the_provider_itself() -> None:
    offer = make_offer("llm", config(("openai", "gpt-x")))
    [model] = offer.models[0].models
    assert (model.friendly_name, model.context_window, model.pricing) == ("GPT X", 1000, Pricing(1, 2))
    assert offer.window(ModelChoice("llm", "openai", "gpt-x")) == 1000
    elsewhere = config(("openai", "gpt-x"), providers=(replace(OPENAI, listed=False),))
    assert make_offer("llm", elsewhere).models[0].models[0].pricing is None


@pytest.mark.parametrize("model", ["gpt-x", "gpt-x-20261101", "gpt-x-2026-11-01"])
def test_a_model_named_with_its_day_is_the_model(model: str) -> None:
    [info] = make_offer("llm", config(("openai", model))).models[0].models
    assert (info.context_window, info.pricing) == (1000, Pricing(1, 2))


@pytest.mark.parametrize("model", ["gpt-x-mini", "gpt-x-1", "gpt-x-20261101-b"])
def test_another_model_is_not(model: str) -> None:
    [info] = make_offer("llm", config(("openai", model))).models[0].models
    assert (info.context_window, info.pricing) == (None, None)
