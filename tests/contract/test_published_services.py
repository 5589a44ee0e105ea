"""Every published `meshagent service` command over services of ours, in the local room and at MeshAgent: it
works, or is refused with words that say what to do.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]

from process_agent.services.local import LocalService, local_document
from tests.contract.hosted import DEPLOY, IMAGE, ROOM, Typed, run
from tests.contract.published import install
from tests.fakes.meshagent_rest import PROJECT, RestStandIn, as_json
from tests.fakes.room import local_room

pytestmark = pytest.mark.timeout(300, func_only=True)

COMMANDS = Path(install.__file__).with_name("commands.py")
"""Run by the Python of the published program."""

ELSEWHERE = "The local room runs agents of this program and no containers: use process deploy."
CHANGED = "A service of the local room is changed with process deploy."


@dataclass(frozen=True)
class Expected:
    """A command, and what it has to say; `code` None is any but 0."""

    command: str
    said: str
    code: int | None = 0

    def fits(self, code: int, said: str) -> bool:
        return self.said in said and (code != 0 if self.code is None else code == self.code)


async def check(home: Path, url: str, key: str, project: str, wanted: Sequence[Expected]) -> None:
    """Run the commands, in order, in one process."""
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(home),
        "COLUMNS": "2000",
        "MESHAGENT_DISABLE_VERSION_CHECK": "1",
        "MESHAGENT_API_URL": url,
        "MESHAGENT_API_KEY": key,
        "MESHAGENT_PROJECT_ID": project,
    }
    lines = "".join(json.dumps(each.command.split()) + "\n" for each in wanted)

    def call() -> str:
        python = install.python_programs() / "python"
        done = subprocess.run(
            [str(python), str(COMMANDS)],
            env=environment, input=lines, capture_output=True, text=True, timeout=90, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done
        return done.stdout

    answers = [json.loads(line) for line in (await asyncio.to_thread(call)).splitlines()]
    pairs = zip(wanted, answers, strict=True)
    wrong = [(each, answer) for each, answer in pairs if not each.fits(answer["code"], answer["said"])]
    assert not wrong, "\n".join(map(str, wrong))
    assert key not in str(answers)


async def test_over_a_service_of_the_local_room(tmp_path: Path) -> None:
    hosted = tmp_path / "hosted.yaml"
    async with local_room(tmp_path) as server:
        await server.services.start()
        flags = ("--agent-name", "bot", "--channel", "chat")
        document: dict[str, Any] = local_document(LocalService("desk", "bot", "/no/such/folder", flags))
        service, _ = await server.services.put(ROOM, document, {})
        hosted.write_text(yaml.safe_dump({**document, "container": {"image": IMAGE}}))
        about = tmp_path / "about.yaml"
        about.write_text(
            yaml.safe_dump({**document, "metadata": {**document["metadata"], "description": "x"}})
        )
        found, room = service.record.id, f"--room {ROOM}"
        await check(
            tmp_path,
            server.url,
            f"ma-owner-local-{server.key}",
            "local",
            [
                Expected(f"service list {room}", found),
                Expected(f"service list {room} -o json", "'name': 'desk'"),
                Expected("service list", "No rows to print", None),
                Expected(f"service get desk {room}", "process join --agent-name bot --channel chat"),
                Expected(f"service get {found} {room}", "'working_dir': '/no/such/folder'"),
                Expected(f"service get other {room}", "No service found for 'other'", None),
                Expected("service get desk", "No service found for 'desk' in global services", None),
                Expected(f"service disable desk {room}", f"{found} disabled"),
                Expected(f"service get desk {room}", "'enabled': False"),
                Expected(f"service enable {found} {room}", f"{found} enabled"),
                Expected(f"service validate --file {hosted}", ""),
                Expected(f"service create --file {hosted} {room} --force", ELSEWHERE, None),
                Expected(f"service create --file {hosted} {room}", "already exists", None),
                Expected(f"service create --file {hosted} {room} --replace", CHANGED, None),
                Expected(f"service update --file {about} {room} --replace", CHANGED, None),
                Expected(f"service create --file {hosted} --global", ELSEWHERE, None),
                Expected(f"service update --file {hosted} {room}", "already exists", None),
                Expected(f"service update --file {hosted} {room} --replace", CHANGED, None),
                Expected(f"room service list {room}", "desk"),
                Expected(f"room service describe {room} --name desk", "desk"),
                Expected(f"room service restart {room} --name desk", "process service restart", None),
                Expected(f"service delete {found}", "404", None),
                Expected(f"service delete {found} {room}", f"{found} deleted"),
                Expected(f"service list {room}", "No rows to print", None),
            ],
        )
        assert server.services.all() == []


async def test_over_what_we_deployed_at_meshagent(typed: Typed, rest: RestStandIn, tmp_path: Path) -> None:
    made = as_json((await run(typed, f"{DEPLOY} --image {IMAGE} --json")).stdout)
    printed = await run(
        typed, f"spec --image {IMAGE} --agent-name codex-agent --channel chat --backend codex"
    )
    file = tmp_path / "spec.yaml"
    file.write_text(printed.stdout)
    found, room = made["id"], f"--room {ROOM}"
    await check(
        tmp_path,
        rest.url,
        rest.key,
        PROJECT,
        [
            Expected(f"service validate --file {file}", ""),
            Expected(f"service list {room}", IMAGE),
            Expected(f"service list {room} -o json", f"'id': '{found}'"),
            Expected(f"service get codex-agent {room}", "process join --agent-name codex-agent"),
            Expected(f"service get {found} {room}", "process.deploy.last"),
            Expected(f"service disable codex-agent {room}", f"{found} disabled"),
            Expected(f"service enable {found} {room}", f"{found} enabled"),
            Expected(f"service create --file {file} {room}", "already exists", None),
        ],
    )
    again = as_json((await run(typed, f"{DEPLOY} --image {IMAGE} --json")).stdout)
    assert (again["changed"], again["kept"], again["enabled"]) == (False, [], True)
    # What they update from our own document is known again; they drop what we remember beside it.
    update = Expected(f"service update --file {file} {room} --replace", "Updated service")
    await check(tmp_path, rest.url, rest.key, PROJECT, [update])
    again = as_json((await run(typed, f"{DEPLOY} --image {IMAGE} --json")).stdout)
    assert (again["id"], again["created"], again["changed"]) == (found, False, False)
    await check(
        tmp_path, rest.url, rest.key, PROJECT,
        [Expected(f"service delete {found} {room}", f"{found} deleted")],
    )  # fmt: skip
    assert rest.services == {}
