"""`process deploy` and `process service` at MeshAgent, against a stand-in made of the published models; and
the published `meshagent service` commands over what we deployed there.
"""

from __future__ import annotations

import asyncio
import os
import shlex
import subprocess
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]

from process_agent.room_server.toolkit import (
    Call,
    Chunks,
    Content,
    SendChunk,
    binary_content,
    json_content,
)
from process_agent.room_server.toolkits import RoomToolkits
from process_agent.services.deployed import bare
from process_agent.services.merging import without_nulls
from tests.contract.published.install import python_programs
from tests.fakes.meshagent_rest import PROJECT, RestStandIn, as_json, rest_stand_in
from tests.fakes.room import LocalRoom, local_room

ROOM = "gettingstarted"
IMAGE = "registry.example.com/team/process:1.0"
DEPLOY = (
    "deploy --service-name codex-agent --room gettingstarted --agent-name codex-agent --channel chat "
    "--backend codex"
)

pytestmark = pytest.mark.timeout(120, func_only=True)


@pytest.fixture
async def room(tmp_path: Path) -> AsyncIterator[LocalRoom]:
    """The hosted room: one that speaks its protocol."""
    async with local_room(tmp_path) as opened:
        yield opened


@pytest.fixture
async def rest(room: LocalRoom) -> AsyncIterator[RestStandIn]:
    async with rest_stand_in(f"ma-{'A' * 22}-{'A' * 22}-{room.key}") as stand_in:
        yield stand_in


@dataclass(frozen=True)
class Done:
    code: int
    stdout: str
    stderr: str


class Typed:
    """The command line in this process: a program of its own for each command takes seconds to start."""

    def __init__(self, work: Path, capture: pytest.CaptureFixture[str]) -> None:
        self.work = work
        self._capture = capture

    def run(self, command: str, *more: str) -> Done:
        from process_agent.cli import main

        self._capture.readouterr()
        code: object = 0
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(sys, "argv", ["process", *command.split(), *more])
            try:
                main()
            except SystemExit as ended:
                code = ended.code or 0
        said = self._capture.readouterr()
        return Done(int(str(code)), said.out, said.err)


@pytest.fixture
def program(
    tmp_path: Path,
    rest: RestStandIn,
    room: LocalRoom,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Typed:
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.chdir(work)
    for name, value in (
        ("MESHAGENT_API_URL", rest.url),
        ("MESHAGENT_ROOM_URL", room.url),
        ("MESHAGENT_API_KEY", rest.key),
        ("PROCESS_DATA_DIR", str(tmp_path / "data")),
    ):
        monkeypatch.setenv(name, value)
    return Typed(work, capsys)


async def run(program: Typed, command: str, *more: str, code: int = 0) -> Done:
    done = await asyncio.to_thread(program.run, command, *more)
    assert done.code == code, (command, done.stdout, done.stderr)
    return done


async def test_without_an_image_nothing_is_sent(program: Typed, rest: RestStandIn) -> None:
    refused = await run(program, DEPLOY, code=2)
    assert "needs a container image, and none of ours is published yet" in refused.stderr
    assert "PROCESS_IMAGE" in refused.stderr
    assert rest.asked == []


async def test_the_documented_command_with_an_image_of_ones_own(
    program: Typed, rest: RestStandIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PROCESS_IMAGE", IMAGE)
    made = await run(program, DEPLOY)
    assert "the room's storage" in made.stdout
    assert "the project's proxy" in made.stdout
    base = f"/accounts/projects/{PROJECT}/rooms/{ROOM}/services"
    assert rest.asked == [("GET", base), ("POST", base)]
    first = rest.document("codex-agent", ROOM)
    assert rest.key not in str(first)
    spec = yaml.safe_load(
        (await run(program, DEPLOY.replace("deploy", "spec").replace("--room gettingstarted ", ""))).stdout
    )
    assert without_nulls(bare(first)) == spec, "what spec prints is what is sent"
    await _as_the_published_program_prints_it(tmp_path, first)

    # Again: nothing is sent. With another flag: a PUT of the same service.
    rest.asked.clear()
    again = as_json((await run(program, f"{DEPLOY} --json")).stdout)
    assert (again["id"], again["created"], again["changed"]) == (first["id"], False, False)
    assert rest.asked == [("GET", base)]
    changed = await run(program, f"{DEPLOY} --json --diff", "--rule", "deploy [b]x[/b]: 'spec'")
    assert "+  command:" in changed.stdout
    assert rest.asked[-1] == ("PUT", f"{base}/{first['id']}")
    second = rest.document("codex-agent", ROOM)
    assert shlex.split(second["container"]["command"])[-4:-2] == ["--rule", "deploy [b]x[/b]: 'spec'"]

    back = as_json(
        (await run(program, f"deploy --rollback --service-name codex-agent --room {ROOM} --json")).stdout
    )
    assert back["id"] == first["id"]
    assert bare(rest.document("codex-agent", ROOM)) == bare(first)


async def _as_the_published_program_prints_it(home: Path, ours: dict[str, Any]) -> None:
    flags = DEPLOY.removeprefix("deploy ").replace("--room gettingstarted ", "")
    said = await _published(home, f"process spec {flags}", {})
    theirs = yaml.safe_load(said)
    mine: dict[str, Any] = without_nulls(bare(ours))
    for document in (theirs, mine):
        for key in ("image", "command"):
            document["container"].pop(key)
    assert mine == theirs


async def test_what_people_changed_by_hand_stays(program: Typed, rest: RestStandIn) -> None:
    deploy = f"{DEPLOY} --image {IMAGE} --json"
    first = as_json((await run(program, deploy)).stdout)

    def by_hand(document: dict[str, Any]) -> None:
        document["enabled"] = False
        document["metadata"]["icon"] = "robot"
        document["container"]["on_demand"] = True
        document["container"]["environment"].append({"name": "MINE", "value": "2"})

    rest.edit("codex-agent", ROOM, by_hand)
    updated = as_json((await run(program, f"{deploy} --sandbox read-only")).stdout)
    assert (updated["id"], updated["enabled"]) == (first["id"], False)
    assert sorted(updated["kept"]) == ["container.environment[MINE]", "container.on_demand", "metadata.icon"]
    kept = rest.document("codex-agent", ROOM)
    assert (kept["enabled"], kept["metadata"]["icon"], kept["container"]["on_demand"]) == (
        False,
        "robot",
        True,
    )
    assert {each["name"] for each in kept["container"]["environment"]} == {"MESHAGENT_TOKEN", "MINE"}
    assert "--sandbox read-only" in kept["container"]["command"]
    rest.edit("codex-agent", ROOM, lambda document: document["container"].update(image="other:9"))
    tried = await run(program, f"{deploy} --sandbox read-only --dry-run --image other:10")
    assert as_json(tried.stdout)["replaced"] == ["container.image"]
    assert rest.document("codex-agent", ROOM)["container"]["image"] == "other:9"


async def test_files_secrets_volumes_and_a_service_of_the_project(program: Typed, rest: RestStandIn) -> None:
    skills = program.work / "skills" / "tidy"
    skills.mkdir(parents=True)
    (skills / "SKILL.md").write_text("---\nname: tidy\ndescription: Tidies.\n---\nTidy up: [x] 'y' ü\n")
    (program.work / "rules.txt").write_text("Be brief.\n")
    made = await run(
        program,
        f"deploy --project --image {IMAGE} --agent-name deploy --channel chat --backend codex --volume work "
        "--secret OPENAI_API_KEY=sec_1 --run-as bot@project.example.com --env LANG=C.UTF-8 "
        "--rules-file rules.txt --skill-dir skills --skill-dir /data/skills --json",
    )
    assert as_json(made.stdout)["project"] == PROJECT
    container = rest.document("deploy", None)["container"]
    assert shlex.split(container["command"]) == [
        "process", "join", "--agent-name", "deploy", "--channel", "chat", "--backend", "codex",
        "--working-dir", "/workspace", "--rules-file", "/etc/process/rules-1.txt",
        "--skill-dir", "/etc/process/skills-1", "--skill-dir", "/data/skills",
    ]  # fmt: skip
    assert {file["path"]: file["text"] for file in container["storage"]["files"]} == {
        "/etc/process/rules-1.txt": "Be brief.\n",
        "/etc/process/skills-1/tidy/SKILL.md": (skills / "SKILL.md").read_text(),
    }
    assert [(v["name"], v["path"]) for v in container["storage"]["volumes"]] == [("work", "/workspace")]
    shown = await run(program, "service list --project")
    assert "deploy" in shown.stdout
    refused = await run(program, "service logs deploy --project", code=2)
    assert "rooms know" in refused.stderr


async def test_services_are_switched_shown_and_removed_and_the_published_program_reads_them(
    program: Typed, rest: RestStandIn, tmp_path: Path
) -> None:
    await run(program, f"{DEPLOY} --image {IMAGE}")
    where = f"--room {ROOM}"
    listed = as_json((await run(program, f"service list {where} --json")).stdout)
    assert (listed["name"], listed["agent"], listed["room"]) == ("codex-agent", "codex-agent", ROOM)
    await run(program, f"service stop codex-agent {where}")
    assert rest.document("codex-agent", ROOM)["enabled"] is False
    environment = {
        "MESHAGENT_API_URL": rest.url,
        "MESHAGENT_API_KEY": rest.key,
        "MESHAGENT_PROJECT_ID": PROJECT,
    }
    said = await _published(tmp_path, f"service list {where}", environment)
    assert listed["id"] in said
    assert IMAGE in said
    assert "enabled" in await _published(tmp_path, f"service enable codex-agent {where}", environment)
    again = as_json((await run(program, f"{DEPLOY} --image {IMAGE} --json")).stdout)
    assert (again["changed"], again["kept"], again["enabled"]) == (False, [], True)
    shown = await run(program, f"service show codex-agent {where}")
    assert f"image: {IMAGE}" in shown.stdout
    removed = as_json((await run(program, f"service remove codex-agent {where} --json")).stdout)
    assert removed["removed"] is True
    assert rest.services == {}


class Controller:
    """What a hosted room says of its services and containers; `states` is what the test wants it to say."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.unary = frozenset({"list", "restart"})
        self.streamed = frozenset({"logs"})
        self.states: list[dict[str, Any]] = []
        self.restarted: list[str] = []
        self.printed = "started\n"

    async def call(self, call: Call) -> Content:
        if call.tool == "restart":
            self.restarted.append(call.arguments.json["service_id"])
            return json_content({})
        return json_content({"services_json": [], "service_states": self.states})

    async def stream(self, call: Call, chunks: Chunks, send: SendChunk) -> None:
        first = await anext(aiter(chunks))
        assert first.headers["container_id"] == "c1"
        await send(binary_content({"channel": 1}, self.printed.encode()))

    async def close(self) -> None:
        pass


@pytest.fixture
def controllers(monkeypatch: pytest.MonkeyPatch) -> dict[str, Controller]:
    """The toolkits `services` and `containers` of every room that is opened from now on."""
    ours = {name: Controller(name) for name in ("services", "containers")}
    opened = RoomToolkits.open

    def open_(self: RoomToolkits, name: str, announce: Any) -> list[Any]:
        others = [each for each in opened(self, name, announce) if each.name not in ours]
        return [*others, *ours.values()]

    monkeypatch.setattr(RoomToolkits, "open", open_)
    return ours


async def test_how_it_is_its_log_and_waiting_for_it_come_from_the_room(
    controllers: dict[str, Controller], program: Typed, rest: RestStandIn, room: LocalRoom
) -> None:
    deploy, where = f"{DEPLOY} --image {IMAGE}", f"--room {ROOM}"
    made = as_json((await run(program, f"{deploy} --json")).stdout)
    services, containers = controllers["services"], controllers["containers"]
    state = {"service_id": made["id"], "state": "running", "container_id": "c1", "restart_count": 2}
    services.states = [state]
    listed = as_json((await run(program, f"service list {where} --json")).stdout)
    assert (listed["state"]["phase"], listed["state"]["room_says"]) == ("starting", "running")
    async with room.client("codex-agent", "agent", ROOM) as agent:
        await agent.messaging.enable()
        waited = await run(program, f"{deploy} --wait --wait-timeout 30")
        assert "codex-agent: running" in waited.stderr
        assert "started" in waited.stderr
        shown = await run(program, f"service show codex-agent {where}")
        assert "restarts  2" in shown.stdout
        old = await run(program, f"{deploy} --network --wait --wait-timeout 1", code=6)
        assert "not yet in a new container" in old.stderr
    containers.printed = "one\ntwo\nthree\n"
    assert (await run(program, f"service logs codex-agent {where} -n 2")).stdout == "two\nthree\n"
    services.states = [{**state, "restart_scheduled_at": 2e9, "last_start_error": "no such image"}]
    failed = await run(program, f"{deploy} --network --wait --wait-timeout 30", code=5)
    assert "no such image" in failed.stderr
    await run(program, f"service restart codex-agent {where}")
    assert services.restarted == [made["id"]]


@pytest.mark.parametrize(
    ("status", "code", "said"),
    [(401, 3, "does not take these credentials"), (403, 3, "You may not do this"), (404, 4, "no room"),
     (423, 4, "is disabled"), (500, 4, "HTTP 500"), (400, 2, "does not take this document"),
     (409, 2, "in use")],
)  # fmt: skip
async def test_refusals_are_one_line_without_the_key(
    program: Typed, rest: RestStandIn, status: int, code: int, said: str
) -> None:
    rest.refuse = status
    refused = await run(program, f"{DEPLOY} --image {IMAGE}", code=code)
    assert said in refused.stderr
    assert len(refused.stderr.splitlines()) == 1
    assert rest.key not in refused.stderr


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (f"{DEPLOY} --image {IMAGE} --project", "contradict"),
        (f"{DEPLOY} --image {IMAGE} --env OPENAI_API_KEY", "--secret NAME=ID"),
        (f"{DEPLOY} --image {IMAGE} --env A=sk-abcdefghijklmnopqrstuv", "a key or a token"),
        (f"{DEPLOY} --image {IMAGE} --working-dir here", "no folder of a container"),
        (f"{DEPLOY} --image {IMAGE} --skill-dir nowhere", "no folder here"),
        (f"{DEPLOY} --image {IMAGE} --data-dir /tmp/x", "local room's"),
        (f"deploy --rollback --service-name codex-agent --room {ROOM}", "There is no service"),
    ],
)
async def test_what_cannot_be_ends_with_2(program: Typed, rest: RestStandIn, flags: str, said: str) -> None:
    refused = await run(program, flags, code=2)
    assert said in refused.stderr
    assert rest.services == {}


async def _published(home: Path, command: str, environment: dict[str, str]) -> str:
    def call() -> str:
        done = subprocess.run(
            [str(python_programs() / "meshagent"), *command.split()],
            env={
                "PATH": os.environ["PATH"],
                "HOME": str(home),
                "MESHAGENT_DISABLE_VERSION_CHECK": "1",
                "COLUMNS": "2000",
                **environment,
            },
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done
        return done.stdout

    return await asyncio.to_thread(call)
