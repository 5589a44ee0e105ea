"""Flags about tools that model providers run: who has them, before and after backends start."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from backends.llm import create_backend as create_llm
from process_agent.agent.assemble import AgentConfig, create_backends, started
from process_agent.core.backend import Backend, BackendConfig
from process_agent.core.hosting import WEB_SEARCH
from process_agent.core.models import ModelChoice, ModelInfo, ProviderModels
from process_agent.core.providers import ModelProvider
from process_agent.errors import UsageError
from tests.fakes.backend import FakeBackend


class Searching(FakeBackend):
    """A backend whose models search the web."""

    hosts_tools = WEB_SEARCH


def config(folder: Path, *backends: str, web_search: bool = False, image: str | None = None) -> AgentConfig:
    local = ModelProvider("ollama", "Ollama", "chat", "http://127.0.0.1:1", local=True)
    made = BackendConfig(
        "bot", folder, folder, (ModelChoice("llm", "ollama", "q"),), environment={}, providers=(local,)
    )
    return AgentConfig("bot", replace(made, web_search=web_search, image_model=image), backends=backends)


def test_the_flags_are_for_backends_that_have_such_tools(tmp_path: Path) -> None:
    for wanted in (
        config(tmp_path, "chat", web_search=True),
        config(tmp_path, "chat", image="i"),
        config(tmp_path, "codex", image="i"),
    ):
        flag, (name,) = "--web-search" if wanted.backend.web_search else "--image-generation", wanted.backends
        wanted = replace(wanted, backend=replace(wanted.backend, models=()))
        with pytest.raises(UsageError, match=f"{flag} has no effect: {name} has no such tool"):
            create_backends(wanted)
        create_backends(replace(wanted, backends=(name, "llm")))
    create_backends(replace(config(tmp_path, "codex", web_search=True), backends=("codex",)))


@pytest.mark.parametrize("others", [[], [FakeBackend()]])
async def test_a_tool_that_no_model_has_is_refused(tmp_path: Path, others: Sequence[Backend]) -> None:
    wanted = config(tmp_path, "llm", web_search=True, image="i")
    with pytest.raises(UsageError, match=r"--web-search .*: no search of the web is known of Ollama"):
        async with started([create_llm(wanted.backend), *others], wanted):
            raise AssertionError("it would join now")


async def test_one_backend_that_has_it_is_enough(tmp_path: Path) -> None:
    wanted = config(tmp_path, "llm", web_search=True)
    async with started([create_llm(wanted.backend), Searching()], wanted) as backends:
        assert "web search" not in dict(backends.summaries[0].lines)


class Reasoning(FakeBackend):
    """A backend whose models have levels of effort."""

    def models(self) -> Sequence[ProviderModels]:
        """One that has two, and one that takes none."""
        listed = (ModelInfo("a", efforts=("low", "high")), ModelInfo("b", takes_efforts=False))
        return [ProviderModels("p", "P", self.name, "a", listed)]


async def test_an_effort_that_no_model_has_is_refused(tmp_path: Path) -> None:
    wanted = config(tmp_path, "chat")
    for effort, had in (("high", True), (None, True), ("medium", False)):
        asked = replace(wanted, backend=replace(wanted.backend, effort=effort))
        if had:
            async with started([Reasoning()], asked):
                continue
        with pytest.raises(UsageError, match=f"--reasoning-effort {effort} has no effect") as refused:
            async with started([Reasoning()], asked):
                raise AssertionError("it would join now")
        assert "They have low, high." in str(refused.value.fix)
