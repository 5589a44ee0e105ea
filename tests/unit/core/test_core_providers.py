from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from process_agent.config import load, load_providers
from process_agent.core.providers import ModelProvider, behind, further, parse_providers, through_project
from process_agent.errors import UsageError


def known(**variables: str) -> dict[str, ModelProvider]:
    found = load_providers(load({"HOME": "/nobody"}), variables)
    return {provider.name: provider for provider in found}


def test_our_file_has_the_documented_providers() -> None:
    names = ["openai", "anthropic", "grok", "kimi", "openrouter", "ollama", "lmstudio", "vllm"]
    assert list(known()) == names
    assert {name for name, provider in known().items() if provider.usable} == {"ollama", "lmstudio", "vllm"}


def test_keys_and_addresses_come_from_the_environment() -> None:
    found = known(OPENAI_API_KEY="sk-1", ANTHROPIC_BASE_URL="http://127.0.0.1:1/")
    assert (found["openai"].key, found["openai"].base_url) == ("sk-1", "https://api.openai.com/v1")
    assert found["anthropic"].base_url == "http://127.0.0.1:1"
    assert found["anthropic"].usable  # a server of one's own may need no key
    assert "sk-1" not in repr(found["openai"])


def test_a_file_of_the_users_own_adds_and_changes(tmp_path: Path) -> None:
    own = tmp_path / "config" / "process" / "providers.toml"
    own.parent.mkdir(parents=True)
    own.write_text(
        '[providers.mine]\nbase_url = "http://10.0.0.1/v1/"\nlocal = true\n'
        "[providers.openai]\nmax_output = 9\n"
    )
    settings = load({"HOME": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path / "config")})
    found = {provider.name: provider for provider in load_providers(settings, {})}
    assert found["mine"] == ModelProvider("mine", "mine", "chat", "http://10.0.0.1/v1", local=True)
    assert (found["openai"].max_output, found["openai"].dialect) == (9, "responses")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("providers = 3", "`providers` is not a table"),
        ("[providers]\nx = 3", "`providers.x` is not a table"),
        ("[providers.x]\ncolour = 3", "`providers.x.colour` is unknown"),
        ("[providers.x]\nlocal = 3", "`providers.x.local` has the wrong type"),
        ("[providers.x]\nlocal = true", "`providers.x.base_url` is not a web address"),
        ('[providers.x]\nbase_url = "http://h"\ndialect = "latin"', "none of responses, messages, chat"),
        (
            '[providers.x]\nbase_url = "http://h"\n[providers.x.efforts]\n"a" = "low"',
            "is not a list of words",
        ),
        ('[providers."a/b"]\nbase_url = "http://h"', "cannot be a provider's name"),
    ],
)
def test_what_a_file_cannot_say(text: str, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        parse_providers(tomllib.loads(text), {}, "file")


def test_one_server_can_stand_for_all() -> None:
    found = {each.name: each for each in behind(known().values(), "http://h/v1", "k", "scripted model")}
    assert found["openai"].base_url == found["kimi"].base_url == "http://h/v1"
    assert found["anthropic"].base_url == "http://h"
    assert {each.key for each in found.values()} == {"k"}


def test_a_project_pays_for_openai_and_anthropic() -> None:
    found = through_project(known().values(), "https://api.meshagent.com/openai/v1", "token")
    assert {each.name: (each.base_url, each.key) for each in found} == {
        "openai": ("https://api.meshagent.com/openai/v1", "token"),
        "anthropic": ("https://api.meshagent.com/anthropic", "token"),
    }


def test_the_command_line_adds_one() -> None:
    assert further("gpu", "http://h/v1", None).usable
    assert further("gpu", "http://h/v1", "k").key == "k"


@pytest.mark.parametrize(
    ("provider", "model", "levels"),
    [
        ("openai", "gpt-5.5", None),
        ("openai", "gpt-4.1", ()),
        ("anthropic", "claude-3-5-sonnet-latest", ()),
        ("anthropic", "claude-sonnet-4-6", ("none", "low", "medium", "high", "xhigh", "max")),
        ("anthropic", "claude-opus-5", ("low", "medium", "high", "xhigh", "max")),
        ("grok", "grok-3-mini", ("low", "high")),
        ("grok", "grok-3", ()),
        ("grok", "grok-4", ()),
        ("grok", "grok-4-1-fast-reasoning", ()),
        ("grok", "grok-4.20-0309-reasoning", ()),
        ("grok", "grok-4.20-multi-agent-0309", ("low", "medium", "high", "xhigh")),
        ("grok", "grok-4.5", ("low", "medium", "high")),
        ("grok", "grok-9", None),
        ("kimi", "kimi-k3", ("low", "high", "max")),
        ("kimi", "kimi-k2.6", ()),
        ("openrouter", "x-ai/grok-4", ("none", "minimal", "low", "medium", "high", "xhigh", "max")),
        ("ollama", "qwen3", None),
    ],
)
def test_which_levels_of_effort_models_have(
    provider: str, model: str, levels: tuple[str, ...] | None
) -> None:
    assert known()[provider].efforts_of(model) == levels


def test_levels_of_a_file_of_the_users_own_come_first() -> None:
    text = '[providers.grok.efforts]\n"grok-4" = ["low"]'
    grok = parse_providers(tomllib.loads(text), known(), "file")["grok"]
    assert (grok.efforts_of("grok-4"), grok.efforts_of("grok-4.5")) == (("low",), ("low", "medium", "high"))


def test_kimi_takes_no_calls_without_reasoning() -> None:
    kimi = known()["kimi"]
    assert kimi.calls_after_reasoning("kimi-k2.6")
    assert not kimi.calls_after_reasoning("moonshot-v1-8k")
