"""Flags about commands and skills for models that have none of their own, and which turns get the tools."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from process_agent.agent.assemble import AgentConfig, create_backends, started
from process_agent.agent.tools.skills import skills_toolkit
from process_agent.agent.tools.sources import ToolOptions
from process_agent.agent.tools.tool import FixedTools, Toolkit
from process_agent.agent.tools.tooling import Tooling
from process_agent.core.backend import BackendConfig
from process_agent.core.providers import ModelProvider
from process_agent.errors import BackendError, UsageError
from process_agent.io.command_sandbox import CommandSandbox
from process_agent.io.skills import Skill, find_skills, front_matter
from tests.fakes.backend import FakeBackend
from tests.fakes.tools import Bench, scope


def config(folder: Path, options: ToolOptions, *backends: str, skills: tuple[Path, ...] = ()) -> AgentConfig:
    providers = (ModelProvider("openai", "OpenAI", "responses", "http://127.0.0.1:1"),)
    backend = BackendConfig("bot", folder, folder, providers=providers, skill_dirs=skills)
    return AgentConfig("bot", backend, backends=backends, tools=options)


SHELL, ADVANCED = ToolOptions(shell=True), ToolOptions(advanced_shell=True)


async def test_a_sandbox_that_does_not_work_is_known_before_anything_is_joined(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(self: CommandSandbox) -> None:
        raise BackendError("The workspace-write sandbox does not work on this machine.")

    backend, wanted = FakeBackend(), config(tmp_path, SHELL, "llm")
    monkeypatch.setattr(CommandSandbox, "start", broken)
    with pytest.raises(BackendError, match="does not work on this machine") as failed:
        async with started([backend], wanted):
            raise AssertionError("it would join now")
    assert failed.value.exit_code == 5
    assert backend.closed


@pytest.mark.parametrize(
    ("options", "backends", "said"),
    [
        (SHELL, ("codex",), "--shell has no effect: codex has a shell of its own"),
        (ADVANCED, ("codex",), "--advanced-shell has no effect: codex has a shell of its own"),
        (SHELL, ("chat",), "--shell has no effect: chat runs no commands"),
        (SHELL, ("codex", "chat"), "--shell has no effect: codex has a shell of its own"),
    ],
)
def test_a_shell_is_refused_where_no_backend_can_use_it(
    tmp_path: Path, options: ToolOptions, backends: tuple[str, ...], said: str
) -> None:
    with pytest.raises(UsageError, match=said) as refused:
        create_backends(config(tmp_path, options, *backends))
    assert "--model gpt-5.5" in (refused.value.fix or "")


@pytest.mark.parametrize("backends", [("llm",), ("codex", "llm"), ("chat", "llm")])
def test_a_shell_is_taken_where_one_backend_can_use_it(tmp_path: Path, backends: tuple[str, ...]) -> None:
    assert len(create_backends(config(tmp_path, SHELL, *backends))) == len(backends)


def test_a_network_for_commands_needs_commands(tmp_path: Path) -> None:
    for options, backends, refused in (
        (ToolOptions(), ("llm",), True),
        (ToolOptions(), ("chat",), True),
        (SHELL, ("llm",), False),
        (ToolOptions(), ("codex",), False),
    ):
        made = config(tmp_path, options, *backends)
        made = replace(made, backend=replace(made.backend, network=True))
        if refused:
            with pytest.raises(UsageError, match=r"--network has no effect: \w+ runs no commands"):
                create_backends(made)
        else:
            create_backends(made)


def test_skills_are_refused_where_nothing_reads_them(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--skill-dir has no effect: chat reads no skills"):
        create_backends(config(tmp_path, ToolOptions(), "chat", skills=(tmp_path,)))
    for backend in ("codex", "llm"):
        create_backends(config(tmp_path, ToolOptions(), backend, skills=(tmp_path,)))


async def test_local_tools_are_for_models_that_have_none_and_keep_their_names() -> None:
    left: list[str] = []
    tool = next(iter(Bench().add("shell", None).tools.values()))  # type: ignore[arg-type]
    shell = Toolkit("shell", "", (tool,), plain=True, local=True, on_leave=left.append)
    hostile = Toolkit("shell", "of the room", (tool,))
    tooling = Tooling([FixedTools((shell,)), FixedTools((hostile,))])
    await tooling.start()
    own = (await tooling.open(scope(), lambda *_: None)).tools
    assert own is not None
    assert [(kit.name, kit.plain) for kit in own.toolkits] == [("room_shell", False), ("shell", True)]
    assert [info.name for info in tooling.listed()] == ["shell", "room_shell"]
    others = (await tooling.open(scope(), lambda *_: None, local=False)).tools
    assert others is not None
    assert [kit.name for kit in others.toolkits] == ["room_shell"]
    assert [info.name for info in tooling.listed(local=False)] == ["room_shell"]
    tooling.left(scope().thread_id)
    assert left == [scope().thread_id]


# --- Skills ----------------------------------------------------------------------------------------


def skill(folder: Path, head: str, text: str = "Do it.") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "SKILL.md").write_text(f"---\n{head}\n---\n{text}\n")
    return folder


def test_skills_are_found_below_a_folder_also_through_links(tmp_path: Path) -> None:
    skill(tmp_path / "a/one", "name: one\ndescription: first")
    skill(tmp_path / "a/one/inner", "name: inner\ndescription: no skill of its own")
    (tmp_path / "a/loop").symlink_to(tmp_path / "a")
    alone = skill(tmp_path / "two", "name: two\ndescription: second")
    (tmp_path / "a/link").symlink_to(alone)
    assert find_skills([tmp_path / "a", alone]) == (
        Skill("one", "first", tmp_path / "a/one"),
        Skill("two", "second", alone),
    )
    assert find_skills([]) == ()


def test_a_folder_without_skills_says_what_is_wrong(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="holds no skill\\.") as refused:
        find_skills([tmp_path])
    assert "SKILL.md" in (refused.value.fix or "")
    skill(tmp_path / "x", "name: x")
    with pytest.raises(UsageError, match="does not say its name and description"):
        find_skills([tmp_path])
    skill(tmp_path / "x", f"name: {'x' * 101}\ndescription: y")
    with pytest.raises(UsageError, match="at most 100"):
        find_skills([tmp_path])
    (tmp_path / "x/SKILL.md").write_bytes(b"---\nname: \xff\n---\n")
    with pytest.raises(UsageError, match="cannot be read"):
        find_skills([tmp_path])


@pytest.mark.parametrize(
    ("head", "found"),
    [
        ("name: plain # a comment", "plain"),
        ('name: "quo\\"ted: # x"', 'quo"ted: # x'),
        ("name: 'it''s'", "it's"),
        ("name: >-\n  folded\n  text", "folded text"),
        ("name: |\n  two\n  lines", "two\nlines"),
        ("name: on\n  several\n  lines", "on several lines"),
        ("other: x\n# name: no\nname: yes", "yes"),
    ],
)
def test_the_texts_of_a_head(head: str, found: str) -> None:
    assert front_matter(f"---\n{head}\n---\nname: not here\n")["name"] == found


def test_what_has_no_head_says_nothing() -> None:
    for text in ("", "name: x", "---\nname: x\n", "text\n---\nname: x\n---"):
        assert front_matter(text) == {}


async def test_a_skill_is_read_and_nothing_beside_it(tmp_path: Path) -> None:
    place = skill(tmp_path / "one", "name: one\ndescription: first", "Do it well.")
    (place / "scripts").mkdir()
    (place / "scripts/run.py").write_text("print()\n")
    (place / "image").write_bytes(b"\xff\xff")
    (tmp_path / "secret").write_text("hidden-words")
    (place / "out").symlink_to(tmp_path / "secret")
    bench = Bench()
    (tool,) = skills_toolkit(find_skills([tmp_path])).tools
    bench.tools["read_skill"] = tool
    said = str(await bench.call("read_skill", name="one"))
    assert "Do it well." in said
    assert f"The skill is in {place}. Its other files: image, out, scripts/run.py." in said
    assert "print()" in str(await bench.call("read_skill", name="one", file="scripts/run.py"))
    for name, file, why in (
        ("two", "", "there is one"),
        ("one", "image", "is no text"),
        ("one", "out", "links are not followed"),
        ("one", "../secret", "is not the path"),
        ("one", str(tmp_path / "secret"), "is not the path"),
        ("one", "none", "There is no none"),
    ):
        outcome = await bench.call("read_skill", name=name, **({"file": file} if file else {}))
        assert why in str(outcome), outcome
        assert "hidden-words" not in str(outcome)
