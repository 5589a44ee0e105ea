from __future__ import annotations

import pytest

from process_agent.agent.models import Selection, select
from process_agent.core.model_names import parse
from process_agent.core.models import ModelChoice
from process_agent.errors import UsageError


@pytest.mark.parametrize(
    ("text", "choice"),
    [
        ("gpt-5.5", ("llm", "openai", "gpt-5.5")),
        ("claude-opus", ("llm", "anthropic", "claude-opus")),
        ("grok-4", ("llm", "grok", "grok-4")),
        ("codex/gpt-5.5", ("codex", None, "gpt-5.5")),
        ("llm/claude-x", ("llm", "anthropic", "claude-x")),
        ("openai/gpt-5.2", ("llm", "openai", "gpt-5.2")),
        ("llm/openai/gpt-5.2", ("llm", "openai", "gpt-5.2")),
        ("codex/openai/gpt-5.5", ("codex", "openai", "gpt-5.5")),
        ("codex/ollama/qwen/qwen3", ("codex", "ollama", "qwen/qwen3")),
        ("chat/none", ("chat", None, "none")),
    ],
)
def test_specs(text: str, choice: tuple[str, str | None, str]) -> None:
    assert parse(text) == ModelChoice(*choice)


@pytest.mark.parametrize("text", ["", "codex/", "/x", "bogus/x/y", "a//b"])
def test_specs_that_mean_nothing(text: str) -> None:
    with pytest.raises(UsageError):
        parse(text)


CODEX = ModelChoice("codex", None, "gpt-5.5")


@pytest.mark.parametrize(
    ("backends", "models", "selection"),
    [
        (["codex"], [], Selection((("codex", ()),), None)),
        ([], ["codex/gpt-5.5"], Selection((("codex", (CODEX,)),), CODEX)),
        (["codex"], ["codex/gpt-5.5"], Selection((("codex", (CODEX,)),), CODEX)),
        ([], ["codex/gpt-5.5", "codex/gpt-5.5"], Selection((("codex", (CODEX,)),), CODEX)),
        (["codex", "codex"], [], Selection((("codex", ()),), None)),
    ],
)
def test_flags_together(backends: list[str], models: list[str], selection: Selection) -> None:
    assert select(backends, models, ["codex"]) == selection


def test_the_first_model_decides_the_default() -> None:
    chosen = select(["codex"], ["gpt-5.5"], ["codex"])
    assert [name for name, _ in chosen.backends] == ["llm", "codex"]
    assert chosen.default == ModelChoice("llm", "openai", "gpt-5.5")


def test_neither_flag_means_the_default_model() -> None:
    default = ModelChoice("llm", "openai", "gpt-5.5")
    assert select([], [], ["codex"]) == Selection((("llm", (default,)),), default)


def test_an_unknown_backend_names_those_that_exist() -> None:
    with pytest.raises(UsageError, match="codex"):
        select(["kodex"], [], ["codex"])
