"""The commands of the documentation, typed as documented, against the real Codex and the real local room."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from pathlib import Path

import pytest

from process_agent.scripted.server import ScriptedServer
from tests.fakes.program import Loaded, Program, alive, children_of

JOIN = "join --room gettingstarted --agent-name codex-agent --channel chat --backend codex"


async def test_join_chat_threads_and_a_clean_end(
    program: Program, model: ScriptedServer, tmp_path: Path
) -> None:
    installed = Program(tmp_path / "installed", **program.environment)
    await asyncio.to_thread(_join_chat_threads, installed)
    assert any(request.path.endswith("/responses") for request in model.requests)


def _join_chat_threads(program: Program) -> None:
    with program.running(JOIN) as (agent, said):
        facts = dict(line.split(None, 1) for line in said.splitlines())
        assert facts["agent"] == "codex-agent"
        assert facts["room"] == "gettingstarted"
        assert facts["link"].startswith("http://127.0.0.1:")
        assert "#code=" in facts["link"]
        assert facts["codex"][0].isdigit()
        assert "thread folder   dataset://agents/codex-agent/threads" in said
        for fact in ("backend", "account", "model", "sandbox", "approvals", "working", "ready"):
            assert facts[fact]

        told = program.run("chat --room gettingstarted --message", "say 7 7 7 and ha ha ha")
        assert (told.returncode, told.stdout.strip()) == (0, "7 7 7 and ha ha ha"), told.stderr

        events = program.run("chat --room gettingstarted --json --message", "run `echo from-$((40+2))`")
        kinds = [json.loads(line) for line in events.stdout.splitlines()]
        [ended] = [k for k in kinds if k["type"] == "meshagent.agent.tool_call.ended"]
        assert ended["toolkit"] == "codex"
        assert ended["result"]["json"]["stdout"] == "from-42\n"
        assert ended["result"]["json"]["exit_code"] == 0
        assert kinds[-1]["type"] == "meshagent.agent.turn.ended"

        listed = json.loads(program.run("threads --room gettingstarted --json").stdout.splitlines()[0])
        assert listed["path"].startswith("dataset://agents/codex-agent/threads/")

        below = children_of(agent.pid)
        assert below
        agent.send_signal(signal.SIGTERM)
        agent.wait(20)
        assert agent.returncode == 0
        assert [pid for pid in below if alive(pid)] == []


async def test_what_was_said_is_there_after_agent_and_room_start_again(program: Program) -> None:
    await asyncio.to_thread(_talk_across_restarts, program)


def _talk_across_restarts(program: Program) -> None:
    with program.running(JOIN):
        program.run("chat --room gettingstarted --message", "say my cat is called Ada")
    program.stop_room()
    with program.running(JOIN):
        told = program.run("chat --room gettingstarted --thread 1 --message", "What did I say first?")
        assert "my cat is called Ada" in told.stdout, told
        [thread] = [
            json.loads(x) for x in program.run("threads --room gettingstarted --json").stdout.splitlines()
        ]
        shown = program.run("threads show --room gettingstarted --json", thread["path"]).stdout
        assert "my cat is called Ada" in shown
        assert shown.count('"completed"') == 2
        _read_as_with_the_published_program(program, thread["path"])


def _read_as_with_the_published_program(program: Program, path: str) -> None:
    """Its commands, options and forms: `threads`, `messages`, `grep`, `use`."""
    options = "--room gettingstarted --agent-name codex-agent"
    [listed] = json.loads(program.run(f"threads {options} --limit 20 --offset 0 -o json").stdout)
    assert listed["path"] == path
    assert json.loads(program.run(f"threads {options} --offset 1 -o json").stdout) == []
    named = f"--room gettingstarted --thread-id {path}"
    rows = json.loads(program.run(f"messages {named} -o json").stdout)
    kinds = [row["type"].removeprefix("meshagent.agent.") for row in rows]
    assert [kinds.count(kind) for kind in ("turn.start", "turn.started", "turn.ended")] == [2, 2, 2]
    assert "my cat is called Ada" in [row.get("text") for row in rows]
    table = program.run(f"messages {named} -o table").stdout.splitlines()
    assert table[0].split() == ["created_at", "turn_id", "type", "text"]
    assert len(table) == len(rows) + 2
    found = program.run(f"grep {named} -o json", "CAT is (called|named)")
    assert {row["role"] for row in json.loads(found.stdout)} == {"user", "agent"}
    bad = program.run(f"grep {named}", "(")
    assert (bad.returncode, "not a regular expression" in bad.stderr) == (2, True)
    used = program.run(f"use {options} --thread-id {path} --message", "say used")
    assert (used.returncode, used.stdout.strip()) == (0, "used")


async def test_the_agent_comes_back_when_the_room_does(program: Program) -> None:
    await asyncio.to_thread(_talk_after_a_room_restart, program)


def _talk_after_a_room_restart(program: Program) -> None:
    with program.running(JOIN) as (agent, _):
        program.stop_room()
        assert program.run("room start").returncode == 0
        told = program.run("chat --room gettingstarted --message", "say back again")
        assert (told.returncode, told.stdout.strip()) == (0, "back again"), told
        agent.send_signal(signal.SIGTERM)
        agent.wait(20)
        assert agent.stderr is not None
        assert "back in the room" in agent.stderr.read()


async def test_a_token_of_another_room_server_ends_with_3(program: Program, tmp_path: Path) -> None:
    await asyncio.to_thread(_join_with_foreign_token, program, tmp_path)


def _join_with_foreign_token(program: Program, tmp_path: Path) -> None:
    url = json.loads(program.run("room start --json").stdout)["url"]
    foreign = program.run(
        f"token --room gettingstarted --identity codex-agent --data-dir {tmp_path}/other"
    ).stdout
    program.environment |= {"MESHAGENT_API_URL": url, "MESHAGENT_TOKEN": foreign.strip()}
    done = program.run(JOIN)
    assert done.returncode == 3, done
    assert "refused" in done.stderr
    assert foreign.strip() not in done.stderr


@pytest.mark.parametrize("more", ["", " --local"])
def test_without_credentials_join_stops_with_3_and_says_three_ways(tmp_path: Path, more: str) -> None:
    program = Loaded(tmp_path / "home", PROCESS_DATA_DIR=str(tmp_path / "data"))
    try:
        done = program.run(JOIN + more)
        assert done.returncode == 3, done
        for way in ("OPENAI_API_KEY", "process login codex", "--provider scripted"):
            assert way in done.stderr
        assert "Traceback" not in done.stderr
    finally:
        program.stop_room()


@pytest.mark.parametrize(
    ("variables", "more", "code", "said"),
    [
        ({}, "--backend magic", 2, "magic"),
        ({}, "--model magic/none/x", 2, "magic"),
        ({}, "--model gpt-5.5", 3, "OPENAI_API_KEY"),
        ({"MESHAGENT_TOKEN": "nonsense"}, "--backend codex", 3, "MESHAGENT_TOKEN"),
        ({"MESHAGENT_API_KEY": "ma-broken"}, "--backend codex", 3, "MESHAGENT_API_KEY"),
        ({"PROCESS_DATA_DIR": "/proc/nowhere"}, "--backend codex --provider scripted", 2, "/proc/nowhere"),
        (
            {"PROCESS_CODEX_BINARY": "/no/such/codex"},
            "--backend codex --provider scripted",
            5,
            "/no/such/codex",
        ),
    ],
)
def test_bad_input_ends_with_its_code_and_a_clear_word(
    tmp_path: Path, variables: dict[str, str], more: str, code: int, said: str
) -> None:
    program = Loaded(tmp_path / "home", **{"PROCESS_DATA_DIR": str(tmp_path / "data"), **variables})
    try:
        done = program.run(f"join --room gettingstarted --agent-name codex-agent --channel chat {more}")
        assert (done.returncode, said in done.stderr) == (code, True), done
        assert "Traceback" not in done.stderr
        assert done.stdout == ""
    finally:
        program.stop_room()


def test_a_hosted_room_that_is_not_there_ends_with_4(tmp_path: Path) -> None:
    program = Loaded(
        tmp_path / "home",
        PROCESS_DATA_DIR=str(tmp_path / "data"),
        MESHAGENT_API_URL="http://127.0.0.1:9",
        MESHAGENT_API_KEY="ma-AAAAAAAAAAAAAAAAAAAAAA-AAAAAAAAAAAAAAAAAAAAAA-secret",
    )
    done = program.run(f"{JOIN} --provider scripted --join-timeout 2")
    assert done.returncode == 4, done
    assert "127.0.0.1:9" in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert not (tmp_path / "data" / "room-server.json").exists()


def test_a_second_signal_does_not_wait(tmp_path: Path) -> None:
    program = Loaded(tmp_path / "home", PROCESS_DATA_DIR=str(tmp_path / "data"))
    try:
        with program.running(f"{JOIN} --provider scripted") as (agent, _):
            below = children_of(agent.pid)
            os.kill(agent.pid, signal.SIGINT)
            os.kill(agent.pid, signal.SIGINT)
            agent.wait(20)
            assert [pid for pid in below if alive(pid)] == []
    finally:
        program.stop_room()
