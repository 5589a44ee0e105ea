"""`process deploy` and `process service` at MeshAgent, against a stand-in made of the published models; and
the published `meshagent service` commands over what we deployed there.
"""

from __future__ import annotations

import asyncio
import os
import shlex
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]

from process_agent.services import rest as rest_module
from process_agent.services.deployed import bare
from process_agent.services.merging import without_nulls
from tests.contract.hosted import DEPLOY, IMAGE, ROOM, Typed, run
from tests.contract.published.install import python_programs
from tests.fakes.meshagent_rest import PROJECT, RestStandIn, as_json

pytestmark = pytest.mark.timeout(300, func_only=True)


async def test_without_an_image_nothing_is_sent(typed: Typed, rest: RestStandIn) -> None:
    refused = await run(typed, DEPLOY, code=2)
    assert "needs a container image, and none of ours is published yet" in refused.stderr
    assert "PROCESS_IMAGE" in refused.stderr
    assert rest.asked == []


async def test_the_documented_command_with_an_image_of_ones_own(
    typed: Typed, rest: RestStandIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PROCESS_IMAGE", IMAGE)
    made = await run(typed, DEPLOY)
    assert "the room's storage" in made.stdout
    assert "the project's proxy" in made.stdout
    base = f"/accounts/projects/{PROJECT}/rooms/{ROOM}/services"
    assert rest.asked == [("GET", base), ("POST", base)]
    first = rest.document("codex-agent", ROOM)
    assert rest.key not in str(first)
    spec = yaml.safe_load(
        (await run(typed, DEPLOY.replace("deploy", "spec").replace("--room gettingstarted ", ""))).stdout
    )
    assert without_nulls(bare(first)) == spec, "what spec prints is what is sent"
    await _as_the_published_program_prints_it(tmp_path, first)

    # Again: nothing is sent. With another flag: a PUT of the same service.
    rest.asked.clear()
    again = as_json((await run(typed, f"{DEPLOY} --json")).stdout)
    assert (again["id"], again["created"], again["changed"]) == (first["id"], False, False)
    assert rest.asked == [("GET", base)]
    changed = await run(typed, f"{DEPLOY} --json --diff", "--rule", "deploy [b]x[/b]: 'spec'")
    assert "+  command:" in changed.stdout
    assert rest.asked[-1] == ("PUT", f"{base}/{first['id']}")
    second = rest.document("codex-agent", ROOM)
    assert shlex.split(second["container"]["command"])[-4:-2] == ["--rule", "deploy [b]x[/b]: 'spec'"]

    back = as_json(
        (await run(typed, f"deploy --rollback --service-name codex-agent --room {ROOM} --json")).stdout
    )
    assert back["id"] == first["id"]
    assert bare(rest.document("codex-agent", ROOM)) == bare(first)


async def _as_the_published_program_prints_it(home: Path, ours: dict[str, Any]) -> None:
    flags = DEPLOY.removeprefix("deploy ").replace("--room gettingstarted ", "")
    said = await _published(home, f"process spec {flags}")
    theirs = yaml.safe_load(said)
    mine: dict[str, Any] = without_nulls(bare(ours))
    for document in (theirs, mine):
        for key in ("image", "command"):
            document["container"].pop(key)
    assert mine == theirs


async def test_what_people_changed_by_hand_stays(typed: Typed, rest: RestStandIn) -> None:
    deploy = f"{DEPLOY} --image {IMAGE} --json"
    first = as_json((await run(typed, deploy)).stdout)

    def by_hand(document: dict[str, Any]) -> None:
        document["enabled"] = False
        document["metadata"]["icon"] = "robot"
        document["container"]["on_demand"] = True
        document["container"]["environment"].append({"name": "MINE", "value": "2"})

    rest.edit("codex-agent", ROOM, by_hand)
    updated = as_json((await run(typed, f"{deploy} --sandbox read-only")).stdout)
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
    tried = await run(typed, f"{deploy} --sandbox read-only --dry-run --image other:10")
    assert as_json(tried.stdout)["replaced"] == ["container.image"]
    assert rest.document("codex-agent", ROOM)["container"]["image"] == "other:9"


async def test_files_secrets_volumes_and_a_service_of_the_project(typed: Typed, rest: RestStandIn) -> None:
    skills = typed.work / "skills" / "tidy"
    skills.mkdir(parents=True)
    (skills / "SKILL.md").write_text("---\nname: tidy\ndescription: Tidies.\n---\nTidy up: [x] 'y' ü\n")
    (typed.work / "rules.txt").write_text("Be brief.\n")
    made = await run(
        typed,
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
    shown = await run(typed, "service list --project")
    assert "deploy" in shown.stdout
    refused = await run(typed, "service logs deploy --project", code=2)
    assert "rooms know" in refused.stderr


async def test_services_are_switched_shown_and_removed(typed: Typed, rest: RestStandIn) -> None:
    await run(typed, f"{DEPLOY} --image {IMAGE}")
    where = f"--room {ROOM}"
    listed = as_json((await run(typed, f"service list {where} --json")).stdout)
    assert (listed["name"], listed["agent"], listed["room"]) == ("codex-agent", "codex-agent", ROOM)
    await run(typed, f"service stop codex-agent {where}")
    assert rest.document("codex-agent", ROOM)["enabled"] is False
    shown = await run(typed, f"service show codex-agent {where}")
    assert f"image: {IMAGE}" in shown.stdout
    removed = as_json((await run(typed, f"service remove codex-agent {where} --json")).stdout)
    assert removed["removed"] is True
    assert rest.services == {}


@pytest.mark.parametrize(
    ("status", "code", "said"),
    [(401, 3, "does not take these credentials"), (403, 3, "You may not do this"), (404, 4, "no room"),
     (423, 4, "is disabled"), (500, 4, "HTTP 500"), (400, 2, "does not take this document"),
     (409, 2, "in use")],
)  # fmt: skip
async def test_refusals_are_one_line_without_the_key(
    typed: Typed, rest: RestStandIn, status: int, code: int, said: str
) -> None:
    rest.refuse = status
    refused = await run(typed, f"{DEPLOY} --image {IMAGE}", code=code)
    assert said in refused.stderr
    assert len(refused.stderr.splitlines()) == 1
    assert rest.key not in refused.stderr


async def test_an_answer_that_is_too_long_is_not_read(
    typed: Typed, rest: RestStandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    await run(typed, f"{DEPLOY} --image {IMAGE}")
    monkeypatch.setattr(rest_module, "MAX_ANSWER", 100)
    refused = await run(typed, f"service list --room {ROOM}", code=4)
    assert "longer than 100 bytes" in refused.stderr


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
async def test_what_cannot_be_ends_with_2(typed: Typed, rest: RestStandIn, flags: str, said: str) -> None:
    refused = await run(typed, flags, code=2)
    assert said in refused.stderr
    assert rest.services == {}


async def _published(home: Path, command: str) -> str:
    def call() -> str:
        done = subprocess.run(
            [str(python_programs() / "meshagent"), *command.split()],
            env={
                "PATH": os.environ["PATH"],
                "HOME": str(home),
                "MESHAGENT_DISABLE_VERSION_CHECK": "1",
                "COLUMNS": "2000",
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
