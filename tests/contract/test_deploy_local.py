"""`process deploy` and `process service` in the local room, typed as documented, with the real programs."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest

from process_agent.cli.services_local import LocalPlace
from process_agent.config import DataPaths
from process_agent.room_server.state import running
from process_agent.scripted.server import ScriptedServer
from tests.fakes.program import Loaded, Program, TypedHere, alive, children_of

pytestmark = pytest.mark.timeout(300, func_only=True)

DEPLOY = (
    "deploy --service-name codex-agent --room gettingstarted --agent-name codex-agent --channel chat "
    "--backend codex"
)
SAY = "chat --room gettingstarted --message"


def place(program: Program) -> LocalPlace:
    return LocalPlace(DataPaths(Path(program.environment["PROCESS_DATA_DIR"])), "gettingstarted")


def one(program: Program) -> dict[str, Any]:
    [found] = place(program).services()
    return found.as_json()


def done(program: Program, command: str, *more: str) -> subprocess.CompletedProcess[str]:
    ended = program.run(command, *more)
    assert ended.returncode == 0, (command, ended.stderr)
    return ended


def server_pid(program: Program) -> int:
    state = running(place(program).paths)
    assert state is not None
    return state.pid


def killed(pid: int) -> None:
    """Kill a process that is not ours to reap, and see it gone."""
    handle = os.pidfd_open(pid)
    try:
        signal.pidfd_send_signal(handle, signal.SIGKILL)
        subprocess.run(["tail", "--pid", str(pid), "-f", "/dev/null"], timeout=20, check=True)
    finally:
        os.close(handle)


async def test_the_documented_command_its_service_and_its_kills(
    program: Program, model: ScriptedServer
) -> None:
    await asyncio.to_thread(_deploy_and_kill, program, model)
    assert any(request.path.endswith("/responses") for request in model.requests)


def _deploy_and_kill(program: Program, model: ScriptedServer) -> None:
    deployed = done(program, f"{DEPLOY} --wait")
    assert "codex-agent in the local room gettingstarted, new" in deployed.stdout
    assert "OPENAI_API_KEY" in deployed.stdout
    assert model.api_key not in deployed.stdout + deployed.stderr
    assert done(program, SAY, "say deployed").stdout.strip() == "deployed"
    _no_key_in_the_record(program, model.api_key)
    first = one(program)
    assert (first["enabled"], first["state"]["phase"], first["revision"]) == (True, "running", 1)

    # kill -9 of the agent: its own is gone with it, and it comes back.
    guard = first["state"]["pid"]
    [agent] = _children(guard)
    below = children_of(guard)
    killed(agent)
    again = done(program, f"{DEPLOY} --wait --json")
    assert json.loads(again.stdout)["changed"] is False
    second = one(program)
    assert (second["id"], second["state"]["restarts"]) == (first["id"], 1)
    assert [pid for pid in below if alive(pid)] == []

    # kill -9 of the server: nothing outlives it, and the next one has everything run again, once.
    below = children_of(server_pid(program))
    assert second["state"]["pid"] in below
    killed(server_pid(program))
    done(program, f"{DEPLOY} --wait")
    assert [pid for pid in below if alive(pid)] == []
    third = one(program)
    assert third["id"] == first["id"]
    assert _children(server_pid(program)) == [third["state"]["pid"]]
    assert done(program, SAY, "say after the server").stdout.strip() == "after the server"

    done(program, "service stop codex-agent --room gettingstarted")
    assert one(program)["state"]["phase"] == "stopped"
    assert not alive(third["state"]["pid"])
    text = done(program, "service logs codex-agent --lines 400").stdout
    assert "[service] waiting: it was ended by signal 9" in text
    assert "has left" in text, "SIGTERM drained it"
    assert model.api_key not in text
    assert "#code=[hidden]" in text
    changed = json.loads(done(program, f"{DEPLOY} --json", "--rule", "deploy").stdout)
    assert (changed["revision"], changed["enabled"], changed["changed"]) == (2, False, True)
    rollback = "deploy --rollback --service-name codex-agent --room gettingstarted --json --diff"
    tried = done(program, f"{rollback} --dry-run")
    assert json.loads(tried.stdout.splitlines()[-1])["revision"] == 2
    back = done(program, rollback)
    assert tried.stdout.splitlines()[:-1] == back.stdout.splitlines()[:-1]
    assert "-  command: process join" in back.stdout
    assert json.loads(back.stdout.splitlines()[-1])["revision"] == 1


def _children(pid: int) -> list[int]:
    found = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [int(child) for child in found]


def _no_key_in_the_record(program: Program, key: str) -> None:
    root = Path(program.environment["PROCESS_DATA_DIR"])
    holding = {file for file in (root / "services").rglob("*") if file.is_file() and key in file.read_text()}
    assert {file.name for file in holding} == {"environment-1.json"}
    assert {file.stat().st_mode & 0o777 for file in holding} == {0o600}


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (f"{DEPLOY} --image example.com/x:1", "--image is for hosted rooms"),
        (f"{DEPLOY} --secret A=sec_1", "--secret is for hosted rooms"),
        (f"{DEPLOY} --provider meshagent", "needs a hosted room"),
        (f"{DEPLOY} --env NOT_SET_HERE", "this variable is not set here"),
        (f"{DEPLOY} --env A_KEY=sk-abcdefghijklmnopqrstuvw", "a key or a token"),
        (f"{DEPLOY} --rule sk-abcdefghijklmnopqrstuvw", "a key or a token"),
        (f"{DEPLOY} --working-dir nowhere", "is not a folder"),
        (f"{DEPLOY} --project", "--project is for MeshAgent"),
        (f"{DEPLOY} --rollback", "--rollback does not heed --channel"),
        ("deploy --agent-name a --channel chat --backend codex", "Which room?"),
        ("deploy --agent-name a --backend codex --room r", "An agent needs a channel"),
        ("deploy --rollback --room r", "Which service?"),
        ("service serve --agent-name a --channel chat", "Anybody could call"),
        ("service serve --channel chat", "Under which name?"),
        ("service serve --agent-name a --channel websocket:8765", "has one port"),
        ("service restart --room r", "NAME"),
    ],
)
def test_what_cannot_be_ends_with_2_and_starts_nothing(tmp_path: Path, flags: str, said: str) -> None:
    program = TypedHere(tmp_path / "home", PROCESS_DATA_DIR=str(tmp_path / "data"))
    ended = program.run(flags)
    assert (ended.returncode, said in ended.stderr) == (2, True), ended
    assert not (tmp_path / "data" / "room-server.json").exists()
    assert "sk-abc" not in ended.stderr


def test_a_dry_run_starts_no_server_and_one_that_fails_says_why(tmp_path: Path) -> None:
    program = Loaded(tmp_path / "home", PROCESS_DATA_DIR=str(tmp_path / "data"))
    tried = done(program, f"{DEPLOY} --dry-run --diff")
    assert "+  command: process join --agent-name codex-agent --channel chat --backend codex" in tried.stdout
    assert "would be made" in tried.stdout
    assert not (tmp_path / "data").exists()
    listed = program.run("service list")
    assert (listed.returncode, "process room start" in listed.stderr) == (4, True)
    try:
        failed = program.run(f"{DEPLOY} --wait --port 0", "--rule", "deploy", "--rule", "spec: [x] 'y'")
        assert failed.returncode == 5, failed
        assert "it ended with exit code 3" in failed.stderr
        assert "process login codex" in failed.stderr, "the agent's own words are shown"
        shown = json.loads(done(program, "service show codex-agent --json").stdout)
        assert shown["document"]["container"]["command"].endswith(
            "--rule deploy --rule 'spec: [x] '\"'\"'y'\"'\"''"
        )
        removed = json.loads(done(program, "service remove codex-agent --json").stdout)
        assert removed["removed"] is True
        assert done(program, "service list --json").stdout == ""
    finally:
        program.stop_room()
