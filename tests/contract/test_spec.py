"""`process spec`: what the published model reads in it, what a real agent with the same flags says of itself,
and what the published `process spec` prints for the documented command.
"""

from __future__ import annotations

import asyncio
import json
import os
import shlex
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]

from tests.contract.published.install import for_published, python_programs
from tests.fakes.program import Loaded, Program, TypedHere
from tests.fakes.room import ROOM, LocalRoom, participant

pytestmark = for_published

IMAGE = "example.com/team/process:1.0"
DOCUMENTED = "--agent-name codex-agent --channel chat --backend codex"
KEY = "own-key-of-this-machine"
AGENT = ("--agent-name", "bot", "--channel", "chat", "--backend", "codex", "--working-dir", "/data")


KEYS = {"OPENAI_API_KEY": KEY, "MESHAGENT_TOKEN": KEY, "MESHAGENT_API_KEY": KEY}


@pytest.fixture
def program(tmp_path: Path) -> Program:
    return Loaded(tmp_path / "home", **KEYS)


@pytest.fixture
def typed_here(tmp_path: Path) -> TypedHere:
    return TypedHere(tmp_path / "home", **KEYS)


def printed(program: Program, flags: str, *more: str) -> str:
    done = program.run(f"spec --image {IMAGE} {flags}", *more)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def parsed(text: str) -> Any:
    """As the published model reads it; it refuses keys that it does not know."""
    from meshagent.api.specs.service import ServiceSpec

    return ServiceSpec.from_yaml(text)


def test_the_published_model_reads_every_field(program: Program, tmp_path: Path) -> None:
    from meshagent.api.participant_token import ApiScope

    rules = tmp_path / "rules.txt"
    rules.write_text("# ours\nBe brief: ü🎉\n", "utf-8")
    text = printed(
        program,
        f"{DOCUMENTED} --service-name helpdesk --working-dir /data --sandbox read-only --secret A_KEY=sec_1 "
        f"--run-as bot@project.example.com --rules-file {rules} --approval-timeout 60 --service-description",
        'Answers questions: "all" of them, for people who wait [patiently]. ' * 4,
    )
    spec = parsed(text)
    assert (spec.version, spec.kind, spec.id, spec.enabled, spec.ports) == ("v1", "Service", None, True, [])
    assert (spec.files, spec.external) == (None, None)
    assert spec.metadata.name == "helpdesk"
    assert spec.metadata.annotations == {"meshagent.service.id": "helpdesk"}
    assert (
        spec.metadata.description == 'Answers questions: "all" of them, for people who wait [patiently]. ' * 4
    )
    [agent] = spec.agents
    assert agent.name == "codex-agent"
    assert agent.annotations == {
        "meshagent.agent.type": "ChatBot",
        "meshagent.chatbot.threading": "default-new",
        "meshagent.chatbot.thread-dir": "dataset://agents/codex-agent/threads",
        "meshagent.chatbot.thread-list": "dataset://agents/codex-agent/threads/index",
    }
    assert (agent.description, agent.channels, agent.email, agent.heartbeat) == (None, None, None, None)
    container = spec.container
    assert (container.image, container.template, container.private) == (IMAGE, "agent", True)
    assert container.run_as.email == "bot@project.example.com"
    assert shlex.split(container.command) == [
        "process", "join", *DOCUMENTED.split(), "--working-dir", "/data", "--sandbox", "read-only",
        "--approval-timeout", "60", "--rules-file", "/etc/process/rules-1.txt",
    ]  # fmt: skip
    [file] = container.storage.files
    assert (file.path, file.text, file.read_only) == (
        "/etc/process/rules-1.txt",
        rules.read_text("utf-8"),
        True,
    )
    secret, token = container.environment
    assert (secret.name, secret.secret.id, secret.value) == ("A_KEY", "sec_1", None)
    assert (token.name, token.value, token.secret) == ("MESHAGENT_TOKEN", None, None)
    assert (token.token.identity, token.token.role) == ("codex-agent", "agent")
    scope = token.token.api
    assert scope.model_dump(exclude_none=True) == ApiScope.agent_default().model_dump(exclude_none=True)
    assert KEY not in text


def test_a_file_about_models_travels_along(program: Program, tmp_path: Path) -> None:
    models = tmp_path / "mine.toml"
    models.write_text('[ollama."qwen3:8b"]\ncontext_window = 32768\n', "utf-8")
    container = parsed(printed(program, f"{DOCUMENTED} --models-file", str(models))).container
    assert shlex.split(container.command)[-2:] == ["--models-file", "/etc/process/models.toml"]
    [file] = container.storage.files
    assert (file.path, file.text) == ("/etc/process/models.toml", models.read_text("utf-8"))
    models.write_text("[ollama]\nx = 1\n", "utf-8")
    refused = program.run(f"spec --image {IMAGE} {DOCUMENTED} --models-file", str(models))
    assert (refused.returncode, refused.stdout) == (2, "")
    assert "ollama.x is no table" in refused.stderr


def test_where_threads_have_their_work_trees(program: Program) -> None:
    flags = f"{DOCUMENTED} --workspace per-thread --worktrees"
    words = shlex.split(parsed(printed(program, flags, "/data/trees")).container.command)
    assert words[words.index("--worktrees") + 1] == "/data/trees"
    refused = program.run(f"spec --image {IMAGE} {flags}", "trees")
    assert (refused.returncode, refused.stdout) == (2, "")
    assert "--worktrees 'trees' is no folder of a container" in refused.stderr


@pytest.mark.parametrize(
    "flags",
    ["", "--threading-mode none", "--thread-dir /teams/help/", "--thread-storage none",
     "--thread-storage none --threading-mode none"],
)  # fmt: skip
async def test_annotations_are_what_the_agent_says_itself(
    program: Program, server: LocalRoom, tmp_path: Path, flags: str
) -> None:
    typed = f"--agent-name bot --channel chat --backend codex --provider scripted {flags}"
    annotations = parsed(await asyncio.to_thread(printed, program, typed)).agents[0].annotations
    assert annotations.pop("meshagent.agent.type") == "ChatBot"
    agent = Loaded(
        tmp_path / "agent-home", MESHAGENT_API_URL=server.url, MESHAGENT_TOKEN=server.token("bot", "agent")
    )
    running = agent.running(f"join --room {ROOM} {typed}")
    await asyncio.to_thread(running.__enter__)
    try:
        async with server.client("ana") as client:
            await client.messaging.enable()
            seen = dict((await participant(client, "bot")).attributes)
    finally:
        await asyncio.to_thread(running.__exit__, None, None, None)
    assert annotations == {key: value for key, value in seen.items() if key.startswith("meshagent.chatbot.")}
    assert len(annotations) == 3


async def test_the_printed_command_starts_the_agent(
    program: Program, server: LocalRoom, tmp_path: Path
) -> None:
    """As MeshAgent does it: only with the variables that it gives to a container."""
    typed = "--agent-name join --channel chat --backend codex --provider scripted --rule spec"
    typed += f" --working-dir {tmp_path}/container-home/work"
    text = await asyncio.to_thread(printed, program, typed, "--rule", 'say: "it\'s"\nno [b]bold[/b] ü')
    name, *words = shlex.split(parsed(text).container.command)
    assert (name, words[0]) == ("process", "join")
    container = Loaded(
        tmp_path / "container-home",
        MESHAGENT_API_URL=server.url,
        MESHAGENT_TOKEN=server.token("join", "agent"),
        MESHAGENT_ROOM=ROOM,
    )
    assert words[-4:] == ["--rule", "spec", "--rule", 'say: "it\'s"\nno [b]bold[/b] ü']
    running = container.running(" ".join(words[:-2]))
    _, said = await asyncio.to_thread(running.__enter__)
    await asyncio.to_thread(running.__exit__, None, None, None)
    assert dict(line.split(None, 1) for line in said.splitlines())["agent"] == "join"


@pytest.mark.parametrize(
    "value",
    ["join", "spec", "deploy", "--room", "-x", "it's", 'say "hi"', "a: b", "ü🎉\u2028", "- x", "# y",
     "[bold]z[/bold]", "two\nlines\n", "x" * 300, "yes", "$HOME `id` \\"],
)  # fmt: skip
def test_values_stay_what_they_are(typed_here: TypedHere, value: str) -> None:
    flags = (*AGENT, f"--rule={value}", "--threading-mode=none")
    text = printed(typed_here, "", *flags, "--service-description", f"d{value}")
    document = yaml.safe_load(text)
    assert document["metadata"]["description"] == f"d{value}"
    words = shlex.split(document["container"]["command"])
    rule = [f"--rule={value}"] if value.startswith("-") else ["--rule", value]
    assert words == ["process", "join", *AGENT, *rule,
                     "--threading-mode", "none"]  # fmt: skip
    assert json.loads(printed(typed_here, "--json", *flags, "--service-description", f"d{value}")) == document


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (DOCUMENTED, "none of ours is published yet"),
        (f"--image {IMAGE} --channel chat", "--agent-name"),
        (f"--image {IMAGE} --agent-name bot", "An agent needs a channel"),
        (f"--image {IMAGE} --agent-name a/b --channel chat --backend codex", "cannot be an agent's name"),
        (f"--image {IMAGE} {DOCUMENTED} --working-dir here", "no folder of a container"),
        (f"--image {IMAGE} {DOCUMENTED} --rules-file missing.txt", "cannot be read"),
        (f"--image {IMAGE} {DOCUMENTED} --backend codx", "no backend 'codx'"),
        (f"--image {IMAGE} {DOCUMENTED} --channel-users", "no effect without --channel command"),
        (f"--image {IMAGE} {DOCUMENTED} --thread-dir a//b", "not a folder of threads"),
        (f"--image {IMAGE} {DOCUMENTED} --rule {KEY}", "a key or a token"),
        (f"--image {IMAGE} {DOCUMENTED} --service-name=", "cannot be a service's name"),
        (f"--image {IMAGE} {DOCUMENTED} --room r", "No such option"),
    ],
)
def test_what_cannot_start_ends_with_2(typed_here: TypedHere, flags: str, said: str) -> None:
    done = typed_here.run(f"spec {flags}")
    assert (done.returncode, done.stdout) == (2, "")
    assert said in done.stderr
    assert KEY not in done.stderr


def published(home: Path, flags: str) -> Any:
    done = subprocess.run(
        [str(python_programs() / "meshagent"), "process", "spec", *flags.split()],
        env={"PATH": os.environ["PATH"], "HOME": str(home), "MESHAGENT_DISABLE_VERSION_CHECK": "1"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=45,
        check=True,
    )
    return yaml.safe_load(done.stdout)


@pytest.mark.parametrize(
    "flags",
    [DOCUMENTED, f"{DOCUMENTED} --service-name helpdesk --service-description Answers --thread-dir /x/y"],
)
def test_the_published_program_prints_the_same_but_for_image_and_program(
    program: Program, tmp_path: Path, flags: str
) -> None:
    theirs, ours = published(tmp_path, flags), yaml.safe_load(printed(program, flags))
    assert theirs["container"].pop("image") == "meshagent/cli:default"
    assert ours["container"].pop("image") == IMAGE
    command = shlex.split(ours["container"].pop("command"))
    assert shlex.split(theirs["container"].pop("command"))[0] == "meshagent"
    assert command[:2] == ["process", "join"]
    assert ours == theirs
