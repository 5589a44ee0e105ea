"""Slash commands: what a line means, what its argument names, what completes it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from process_agent.core.ids import ThreadId
from process_agent.core.models import ModelChoice, ModelInfo, ProviderModels
from process_agent.core.requests import ModelWish
from process_agent.core.store import ThreadEntry
from process_agent.errors import UsageError
from process_agent.viewer.terminal import commands as c
from process_agent.viewer.terminal import naming
from process_agent.viewer.terminal.completing import completions
from tests.fakes.viewer_room import START
from tests.unit.core.test_core_selection import CATALOGUE, MEANT

CODEX = ProviderModels(
    "openai", "OpenAI Codex", "codex", "gpt-5.5", (ModelInfo("gpt-5.5"), ModelInfo("codex-mini"))
)
LLM = ProviderModels("openai", "OpenAI", "llm", "gpt-5.5", (ModelInfo("gpt-5.5", "GPT 5.5"),))
THREADS = [
    ThreadEntry(ThreadId("dataset://agents/a/threads/ab12"), "Fix the test", START, START),
    ThreadEntry(ThreadId("dataset://agents/a/threads/ab99"), "Other", START, START),
    ThreadEntry(ThreadId("dataset://agents/a/threads/7f00"), "Other", START, START),
]


@pytest.mark.parametrize(
    ("line", "command"),
    [
        ("hello", c.Say("hello")),
        ("  hello\nyou ", c.Say("hello\nyou")),
        ("", None),
        ("   \n", None),
        ("/help", c.Help()),
        ("/?", c.Help()),
        ("/HELP", c.Help()),
        ("/models", c.ShowModels()),
        ("/model", c.ShowModels()),
        ("/model gpt-5.5", c.ChooseModel("gpt-5.5")),
        ("/threads", c.ShowThreads()),
        ("/open 2", c.OpenThreadNamed("2")),
        ("/new", c.NewThread()),
        ("/stop", c.Stop()),
        ("/output", c.ShowOutput(1)),
        ("/output 3", c.ShowOutput(3)),
        ("/diff", c.ForAgent("/diff")),
        ("/diff  thread", c.ForAgent("/diff thread")),
        ("/effort", c.ForAgent("/effort")),
        ("/effort high", c.ForAgent("/effort high")),
        ("/fork", c.ForAgent("/fork")),
        ("/fork Plan B", c.ForAgent("/fork Plan B")),
        ("/undo", c.ForAgent("/undo")),
        ("/quit", c.Quit()),
        ("/exit", c.Quit()),
        ("//stop", c.Say("/stop")),
        ("/etc/hosts is wrong", c.Say("/etc/hosts is wrong")),
        ("/new\nline", c.Say("/new\nline")),
    ],
)
def test_what_a_line_means(line: str, command: c.Command | None) -> None:
    assert c.parse(line) == command


@pytest.mark.parametrize("line", ["/nonsense", "/open", "/stop now", "/output x", "/output 0", "/"])
def test_a_wrong_command_is_an_error(line: str) -> None:
    with pytest.raises(UsageError):
        c.parse(line)


def test_every_command_of_the_help_is_understood() -> None:
    for name, (argument, _) in c.COMMANDS.items():
        assert c.parse(f"{name} 1" if argument else name) is not None


@pytest.mark.parametrize(
    ("text", "backend"),
    [
        ("codex-mini", "codex"),
        ("codex/gpt-5.5", "codex"),
        ("llm/gpt-5.5", "llm"),
        ("llm/openai/gpt-5.5", "llm"),
        ("openai/codex-mini", "codex"),
    ],
)
def test_a_model_can_be_named_in_four_ways(text: str, backend: str) -> None:
    wish = naming.resolve_model(text, [CODEX, LLM])
    assert (wish.backend, wish.provider) == (backend, "openai")


@pytest.mark.parametrize(("wish", "current", "choice"), [row for row in MEANT if row[0].model])
def test_a_name_means_what_it_means_to_the_agent(
    wish: ModelWish, current: ModelChoice, choice: ModelChoice
) -> None:
    text = naming.full_name(wish)
    meant = ModelWish(choice.backend, choice.provider, choice.model)
    assert naming.resolve_model(text, CATALOGUE.providers, current) == meant


def test_a_bare_name_is_the_llm_backends() -> None:
    for text in ("gpt-5.5", "openai/gpt-5.5"):
        assert naming.resolve_model(text, [CODEX, LLM]) == ModelWish("llm", "openai", "gpt-5.5")


def test_an_ambiguous_or_unknown_model_says_what_there_is() -> None:
    others = [replace(CODEX, backend="a"), replace(CODEX, backend="b")]
    with pytest.raises(UsageError, match=r"a/openai/gpt-5\.5, b/openai/gpt-5\.5"):
        naming.resolve_model("gpt-5.5", others)
    with pytest.raises(UsageError, match=r"codex/openai/gpt-5\.5, codex/openai/codex-mini, llm/openai/gpt-5"):
        naming.resolve_model("nope", [CODEX, LLM])
    with pytest.raises(UsageError, match="No model is named"):
        naming.resolve_model(" ", [CODEX, LLM])


def test_the_names_shown_resolve_to_their_models() -> None:
    twice = ProviderModels("azure", "Azure", "llm", None, (ModelInfo("gpt-5.5"),))
    for word, provider, model in naming.model_names([CODEX, LLM, twice]):
        wish = naming.resolve_model(word, [CODEX, LLM, twice])
        assert wish == ModelWish(provider.backend, provider.name, model.name)


@pytest.mark.parametrize(
    ("ref", "index"),
    [("1", 0), ("3", 2), ("ab12", 0), ("7f", 2), (THREADS[1].path, 1), ("fix THE test", 0)],
)
def test_a_thread_can_be_named_in_four_ways(ref: str, index: int) -> None:
    assert naming.resolve_thread(ref, THREADS) is THREADS[index]


@pytest.mark.parametrize("ref", ["ab", "Other", "4", "zz"])
def test_an_ambiguous_or_unknown_thread_is_an_error(ref: str) -> None:
    with pytest.raises(UsageError):
        naming.resolve_thread(ref, THREADS)


def test_an_unknown_thread_is_looked_up_where_the_reader_can_look() -> None:
    with pytest.raises(UsageError, match=r"^There is no thread 'zz'\. /threads lists them"):
        naming.resolve_thread("zz", THREADS)
    with pytest.raises(UsageError, match="`process threads` lists them"):
        naming.resolve_thread("zz", THREADS, see="`process threads`")


def test_completions() -> None:
    assert [word for word, _, _ in completions("/mo", [], [])] == ["/models", "/model"]
    assert list(completions("/model mini", [CODEX, LLM], [])) == [("codex-mini", "OpenAI Codex", 4)]
    assert [word for word, _, _ in completions("/model ", [CODEX, LLM], [])] == [
        "codex/gpt-5.5",
        "codex-mini",
        "llm/gpt-5.5",
    ]
    assert list(completions("/open oth", [], THREADS)) == [("2", "Other", 3), ("3", "Other", 3)]
    assert list(completions("/diff t", [], [])) == [("thread", "", 1)]
    assert list(completions("hello", [CODEX], THREADS)) == []
    assert list(completions("/stop ", [CODEX], THREADS)) == []
