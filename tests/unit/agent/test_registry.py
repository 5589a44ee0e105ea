from __future__ import annotations

from pathlib import Path

import pytest

from process_agent.agent import registry
from process_agent.agent.assemble import AgentConfig, create_backends
from process_agent.core.backend import BackendConfig
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
    with pytest.raises(UsageError, match="--backend codex"):
        registry.create("llm", config)


def test_models_reach_their_backend(config: BackendConfig) -> None:
    (backend,) = create_backends(AgentConfig("bot", config, models=("codex/gpt-x",)))
    assert backend.default_model().model == "gpt-x"


def test_neither_flag_says_what_to_use(config: BackendConfig) -> None:
    with pytest.raises(UsageError, match="--backend codex"):
        create_backends(AgentConfig("bot", config))
