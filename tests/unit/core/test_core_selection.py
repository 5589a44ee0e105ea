from __future__ import annotations

import pytest

from process_agent.core.content import ErrorInfo
from process_agent.core.model_names import parse
from process_agent.core.models import ModelChoice, ModelInfo, ProviderModels
from process_agent.core.requests import ModelWish
from process_agent.core.selection import Catalogue

LLM = ModelChoice("llm", "openai", "gpt-5.5")
CODEX = ModelChoice("codex", "openai", "gpt-5.5")
CLAUDE = ModelChoice("llm", "anthropic", "claude-x")


def provider(backend: str, name: str, *models: str) -> ProviderModels:
    return ProviderModels(name, name, backend, models[0], tuple(ModelInfo(m) for m in models))


CATALOGUE = Catalogue(
    [
        provider("llm", "anthropic", "claude-x", "shared"),
        provider("llm", "openai", "gpt-5.5", "gpt-5.5-mini", "org/odd", "shared"),
        provider("codex", "openai", "gpt-5.5", "gpt-5.5-codex"),
    ],
    ModelChoice("llm", "openai"),
)


MEANT = [
    (ModelWish(), CODEX, CODEX),
    (ModelWish("", "", ""), CODEX, CODEX),
    (ModelWish(model="gpt-5.5"), CODEX, LLM),
    (ModelWish(provider="openai", model="gpt-5.5"), CODEX, LLM),
    (ModelWish("codex", model="gpt-5.5"), LLM, CODEX),
    (ModelWish("codex", "openai", "gpt-5.5"), LLM, CODEX),
    (ModelWish(model="gpt-5.5-codex"), LLM, ModelChoice("codex", "openai", "gpt-5.5-codex")),
    (ModelWish(model="openai/gpt-5.5-codex"), LLM, ModelChoice("codex", "openai", "gpt-5.5-codex")),
    (ModelWish(model="openai/gpt-5.5"), CODEX, LLM),
    (ModelWish(model="shared"), CODEX, ModelChoice("llm", "openai", "shared")),
    (ModelWish(model="shared"), CLAUDE, ModelChoice("llm", "anthropic", "shared")),
    (ModelWish(model="gpt-5.5"), LLM, LLM),
    (ModelWish(model="gpt-5.5"), CLAUDE, LLM),
    (ModelWish(model="claude-x"), CODEX, CLAUDE),
    (ModelWish(model="codex/gpt-5.5"), LLM, CODEX),
    (ModelWish(model="anthropic/claude-x"), LLM, CLAUDE),
    (ModelWish(model="llm/anthropic/claude-x"), CODEX, CLAUDE),
    (ModelWish(model="org/odd"), CODEX, ModelChoice("llm", "openai", "org/odd")),
    (ModelWish(model="llm/openai/org/odd"), CODEX, ModelChoice("llm", "openai", "org/odd")),
    (ModelWish(backend="codex"), LLM, CODEX),
    (ModelWish(backend="llm"), CLAUDE, CLAUDE),
    (ModelWish(provider="anthropic"), CODEX, CLAUDE),
    (ModelWish("codex", "openai", "gpt-5.5-codex"), LLM, ModelChoice("codex", "openai", "gpt-5.5-codex")),
]
"""What wishes mean, by the model of the thread: wish, current, choice."""


@pytest.mark.parametrize(("wish", "current", "choice"), MEANT)
def test_what_a_wish_means(wish: ModelWish, current: ModelChoice, choice: ModelChoice) -> None:
    assert CATALOGUE.resolve(wish, current) == choice


@pytest.mark.parametrize(
    ("wish", "code"),
    [
        (ModelWish(backend="lisp"), "unknown_backend"),
        (ModelWish(backend="codex", provider="anthropic"), "unknown_provider"),
        (ModelWish(model="gpt-9"), "unknown_model"),
        (ModelWish(model="codex/claude-x"), "unknown_model"),
    ],
)
def test_what_fits_nothing_lists_what_exists(wish: ModelWish, code: str) -> None:
    refused = CATALOGUE.resolve(wish, LLM)
    assert isinstance(refused, ErrorInfo)
    assert refused.code == code
    assert "openai" in refused.message or "codex" in refused.message


def test_the_default_is_filled_in() -> None:
    assert CATALOGUE.default == LLM
    assert CATALOGUE.known(ModelChoice("codex")) == CODEX
    assert CATALOGUE.known(ModelChoice("codex", "openai", "gone")) is None


def test_a_name_that_several_other_backends_have_must_be_whole() -> None:
    catalogue = Catalogue([provider("a", "p", "m"), provider("b", "p", "m"), provider("llm", "p", "n")], LLM)
    refused = catalogue.resolve(ModelWish(model="m"), LLM)
    assert isinstance(refused, ErrorInfo)
    assert refused.code == "unknown_model"
    assert "a/p/m, b/p/m" in refused.message
    assert catalogue.resolve(ModelWish(model="b/m"), LLM) == ModelChoice("b", "p", "m")


@pytest.mark.parametrize(
    "text", ["gpt-5.5", "claude-x", "codex/gpt-5.5-codex", "llm/openai/org/odd", "anthropic/shared"]
)
def test_a_name_means_the_same_in_a_thread_as_on_the_command_line(text: str) -> None:
    meant = CATALOGUE.known(parse(text))
    assert meant is not None
    for current in (LLM, CODEX, CLAUDE):
        assert CATALOGUE.resolve(ModelWish(model=text), current) == meant
