from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from process_agent.agent import registry
from process_agent.agent.assemble import AgentConfig, create_backends
from process_agent.config import load, load_providers
from process_agent.core.backend import BackendConfig
from process_agent.core.models import ModelChoice
from process_agent.core.providers import ModelProvider
from process_agent.errors import UsageError


@pytest.fixture
def config(tmp_path: Path) -> BackendConfig:
    return BackendConfig("bot", tmp_path, tmp_path)


def test_codex_is_found(config: BackendConfig) -> None:
    assert "codex" in registry.installed()
    assert registry.create("codex", config).name == "codex"


def test_what_is_not_there_is_named(config: BackendConfig) -> None:
    with pytest.raises(UsageError, match="codex"):
        registry.create("kodex", config)


def test_models_reach_their_backend(config: BackendConfig) -> None:
    (backend,) = create_backends(AgentConfig("bot", config, models=("codex/gpt-x",)))
    assert backend.default_model().model == "gpt-x"


def shipped(config: BackendConfig, *keys: str) -> BackendConfig:
    """With the providers of the package, and these keys in the environment."""
    settings = load({"HOME": str(config.data_dir)})
    return replace(config, providers=load_providers(settings, dict.fromkeys(keys, "key")))


KEYS = ("OPENAI_API_KEY", "ANTHROPIC_API_KEY")
GPT_DEFAULT, GPT, CLAUDE = (
    ModelChoice("llm", *named)
    for named in (
        ("openai", "gpt-5.5"),
        ("openai", "gpt-5.2"),
        ("anthropic", "claude-3-5-sonnet-latest"),
    )
)


@pytest.mark.parametrize(
    ("backends", "keys", "offered"),
    [
        ((), KEYS, [GPT_DEFAULT]),
        (("llm",), KEYS, [GPT, CLAUDE]),
        (("llm",), KEYS[:1], [GPT]),
        (("llm",), KEYS[1:], [CLAUDE]),
    ],
)
async def test_the_documented_defaults_with_the_shipped_providers(
    config: BackendConfig, backends: tuple[str, ...], keys: tuple[str, ...], offered: list[ModelChoice]
) -> None:
    (backend,) = create_backends(AgentConfig("bot", shipped(config, *keys), backends))
    await backend.start()
    try:
        models = [ModelChoice("llm", x.name, model.name) for x in backend.models() for model in x.models]
        assert (models, backend.default_model()) == (offered, offered[0])
    finally:
        await backend.close()


async def test_a_backend_that_is_named_keeps_its_own_models_beside_those_named(config: BackendConfig) -> None:
    providers = tuple(
        ModelProvider(name, name, "chat", "http://127.0.0.1:9", "key", default_model=model)
        for name, model in (("openai", "gpt-5.2"), ("anthropic", "claude-3-5-sonnet-latest"))
    )
    asked = AgentConfig("bot", replace(config, providers=providers), ("llm",), ("gpt-5.5",))
    (backend,) = create_backends(asked)
    await backend.start()
    names = [(entry.name, [model.name for model in entry.models]) for entry in backend.models()]
    assert names == [("openai", ["gpt-5.5", "gpt-5.2"]), ("anthropic", ["claude-3-5-sonnet-latest"])]
    assert backend.default_model() == ModelChoice("llm", "openai", "gpt-5.5")
    await backend.close()
