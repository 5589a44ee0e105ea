"""Services of the local room: small real child processes under supervision, and the owner's endpoints."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from process_agent.config import DataPaths
from process_agent.errors import BackendError, UsageError
from process_agent.io.child import Command
from process_agent.room_server import access
from process_agent.room_server.services import log as logs
from process_agent.room_server.services.files import ServiceFiles
from process_agent.room_server.services.log import ServiceLog
from process_agent.room_server.services.running import RunningService
from process_agent.services.local import LocalService, Record, Revision, local_document
from process_agent.services.supervision import Enabled, Phase, Policy, RestartAsked
from tests.fakes.room import LocalRoom, local_room

POLICY = Policy(start=30, absent=1, drain=1.5, kill=1, first_wait=0.05, longest_wait=0.2, steady=60)
GONE = "/no/such/folder"
"""Where a service cannot start: no program of ours is started where none is needed."""

ID = "00000000-0000-4000-8000-000000000001"


def document(name: str = "desk", agent: str = "bot", *flags: str) -> dict[str, Any]:
    return local_document(LocalService(name, agent, GONE, ("--agent-name", agent, *flags)))


class Heard(ServiceLog):
    """A log one can wait for: what children print and what becomes of them is there."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.told = asyncio.Event()

    def line(self, text: str) -> None:
        super().line(text)
        self.told.set()


class House:
    """One service whose program is a line of Python, and whose presence in the room the test decides."""

    def __init__(self, folder: Path, program: str, policy: Policy = POLICY) -> None:
        self.here = True
        self.log = Heard(folder)
        self._command = Command((sys.executable, "-u", "-c", program), {"PATH": os.environ["PATH"]}, folder)
        self.failing = False
        record = Record(ID, "demo", Revision(1, document()))
        self.service = RunningService(record, self.log, self._launch, lambda _: self.here, policy)

    def _launch(self, _record: Record) -> Command:
        if self.failing:
            raise BackendError("no such folder")
        return self._command

    def text(self) -> str:
        return self.log.tail(1000)[0]

    async def until(self, true: Callable[[], object]) -> None:
        async with asyncio.timeout(30):
            while not true():
                self.log.told.clear()
                await self.log.told.wait()

    async def until_phase(self, phase: Phase) -> None:
        await self.until(lambda: self.service.facts().phase is phase)


@pytest.fixture
async def houses(tmp_path: Path) -> AsyncIterator[Callable[..., House]]:
    made: list[House] = []

    def make(program: str, **limits: Any) -> House:
        made.append(House(tmp_path, program, **limits))
        return made[-1]

    yield make
    for house in made:
        await house.service.close(0.1)


ASLEEP = "import time; print('up'); time.sleep(600)"
STUBBORN = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up'); time.sleep(600)"
DRAINS = """
import signal, sys, time
def drain(*_):
    print('draining'); time.sleep(0.2); print('drained'); sys.exit(0)
signal.signal(signal.SIGTERM, drain); print('up'); time.sleep(600)
"""


async def test_it_runs_is_killed_and_runs_again(houses: Callable[..., House]) -> None:
    house = houses(ASLEEP)
    house.service.tell(Enabled(True))
    await house.until(lambda: "up" in house.text())
    await house.until_phase(Phase.RUNNING)
    first = house.service.facts()
    assert first.pid is not None
    os.kill(first.pid, signal.SIGKILL)
    await house.until(lambda: house.text().count("up") == 2)
    again = house.service.facts()
    assert (again.restarts, again.last_code, again.last_end) == (1, -9, "it was ended by signal 9")
    assert "[service] waiting: it was ended by signal 9; it starts again in" in house.text()


async def test_a_stop_drains_and_nothing_starts_again(houses: Callable[..., House]) -> None:
    house = houses(DRAINS)
    house.service.tell(Enabled(True))
    await house.until(lambda: "up" in house.text())
    house.service.tell(Enabled(False))
    await house.service.stopped()
    facts = house.service.facts()
    assert (facts.phase, facts.pid, facts.last_code, facts.restarts) == (Phase.STOPPED, None, 0, 0)
    assert [word for word in ("draining", "drained") if word in house.text()] == ["draining", "drained"]


async def test_one_that_does_not_end_is_killed_after_its_time(houses: Callable[..., House]) -> None:
    house = houses(STUBBORN)
    house.service.tell(Enabled(True))
    await house.until(lambda: "up" in house.text())
    house.service.tell(Enabled(False))
    await house.service.stopped()
    assert house.service.facts().last_code == -9


async def test_one_that_left_its_room_is_started_anew(houses: Callable[..., House]) -> None:
    house = houses(DRAINS)
    house.service.tell(Enabled(True))
    await house.until(lambda: "up" in house.text())
    await house.until_phase(Phase.RUNNING)
    house.here = False
    await house.until(lambda: house.text().count("up") == 2)
    assert "it was away from the room for 1 s" in house.text()


async def test_one_that_cannot_start_says_why_and_is_tried_again(houses: Callable[..., House]) -> None:
    house = houses(ASLEEP)
    house.failing = True
    house.service.tell(Enabled(True))
    await house.until(lambda: house.service.facts().restarts >= 2)
    assert house.service.facts().last_end == "no such folder"
    house.failing = False
    await house.until_phase(Phase.RUNNING)


async def test_a_restart_is_one_child_after_the_other(houses: Callable[..., House]) -> None:
    house = houses(DRAINS)
    house.service.tell(Enabled(True))
    await house.until(lambda: "up" in house.text())
    house.service.tell(RestartAsked())
    house.service.tell(RestartAsked())
    await house.until(lambda: house.text().count("up") == 2)
    said = [line.split(" ", 1)[1] for line in house.text().splitlines() if "[service]" not in line]
    assert said == ["up", "draining", "drained", "up"]
    assert house.service.facts().restarts == 0


async def test_closing_leaves_no_process(houses: Callable[..., House]) -> None:
    house = houses("import subprocess, sys; subprocess.run([sys.executable, '-c', 'print(1); input()'])")
    house.service.tell(Enabled(True))
    await house.until(lambda: house.service.facts().pid is not None and " 1\n" in house.text())
    pid = house.service.facts().pid
    await house.service.close(0.1)
    assert pid is not None
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_logs_hide_keys_cut_lines_and_stay_small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs, "MAX_FILE_BYTES", 2000)
    log = ServiceLog(tmp_path, ("s3cret-of-the-agent",), clock=lambda: 0.0)
    log.feed(b"key s3cret-of-the-")
    log.feed(b"agent here\nsk-abcdefghijklmnopqrstuv\nlink #code=abcDEF_-1 \x1b[31mred\r\nrest")
    log.end()
    assert log.tail(10)[0].splitlines() == [
        "1970-01-01T00:00:00Z key [hidden] here",
        "1970-01-01T00:00:00Z [hidden]",
        "1970-01-01T00:00:00Z link #code=[hidden] \ufffd[31mred",
        "1970-01-01T00:00:00Z rest",
    ]
    _, position = log.tail(0)
    for number in range(200):
        log.feed(f"line {number}\n".encode())
    assert sum(file.stat().st_size for file in tmp_path.iterdir()) <= 4000
    late, end = log.after(position)
    assert late.endswith("line 199\n")
    assert log.after(end) == ("", end)
    assert log.after(10**9) == ("", end)
    assert log.tail(1)[0].endswith("line 199\n")
    assert {file.stat().st_mode & 0o777 for file in tmp_path.iterdir()} == {0o600}
    log.feed(b"x" * 100_000)
    assert all(len(line) <= logs.MAX_LINE_BYTES + 30 for line in log.tail(10)[0].splitlines())


def test_records_that_others_could_have_written_are_not_used(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    files = ServiceFiles(DataPaths(tmp_path))
    record = Record(ID, "demo", Revision(1, document()))
    files.save(record, {"A_KEY": "value"})
    assert list(files.records()) == [record]
    assert files.environment(record) == {"A_KEY": "value"}
    folder = files.folder(ID)
    assert {p.stat().st_mode & 0o777 for p in folder.iterdir()} == {0o600}
    assert "value" not in (folder / "record.json").read_text()
    for place in (folder / "record.json", folder, files.root):
        before = place.stat().st_mode
        place.chmod(before | 0o020)
        assert list(files.records()) == []
        assert "can be written by others" in caplog.text
        place.chmod(before)
    (folder / "environment-1.json").chmod(0o622)
    with pytest.raises(UsageError):
        files.environment(record)
    elsewhere = tmp_path / "elsewhere.json"
    (folder / "record.json").rename(elsewhere)
    (folder / "record.json").symlink_to(elsewhere)
    assert list(files.records()) == []


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[LocalRoom]:
    async with local_room(tmp_path) as room:
        await room.services.start()
        yield room


def asked(server: LocalRoom, token: str, method: str, path: str, **more: Any) -> httpx.Response:
    return httpx.request(
        method, server.url + path, headers={"Authorization": f"Bearer {token}"}, timeout=20, **more
    )


async def test_only_the_owner_of_the_data_folder_registers_services(server: LocalRoom) -> None:
    body = {"room": "demo", "document": document(), "environment": {}}
    strangers = [
        server.token("ana"),
        server.token("bot", "agent"),
        server.admin_token(),
        access.session_cookie(access.Identity("demo", "ana"), server.key, time.time()),
        access.control_token("x" * 64, time.time()),
        access.control_token(server.key, time.time() - 2 * access.CONTROL_SECONDS),
        "ma-a-b-wrong",
        "nonsense",
    ]
    for token in strangers:
        answer = await asyncio.to_thread(asked, server, token, "POST", "/services", json=body)
        assert answer.status_code == 403, token
        assert (await asyncio.to_thread(asked, server, token, "GET", "/services")).status_code == 403
    assert server.services.all() == []
    own = access.control_token(server.key, time.time())
    made = (await asyncio.to_thread(asked, server, own, "POST", "/services", json=body)).json()
    assert (made["name"], made["created"]) == ("desk", True)
    for token in strangers:
        for method, path in (
            ("DELETE", ""), ("POST", "/restart"), ("POST", "/rollback"), ("GET", "/logs"), ("GET", ""),
        ):  # fmt: skip
            answer = await asyncio.to_thread(asked, server, token, method, f"/services/{made['id']}{path}")
            assert answer.status_code == 403, (token, method, path)
        rest = f"/accounts/projects/p/rooms/demo/services/{made['id']}"
        for method in ("DELETE", "PUT"):
            assert (await asyncio.to_thread(asked, server, token, method, rest)).status_code == 403
    # A control token opens nothing else.
    assert (await asyncio.to_thread(asked, server, own, "POST", "/codes", json={})).status_code == 403


async def test_the_endpoints_of_the_owner(server: LocalRoom) -> None:
    own = access.control_token(server.key, time.time())

    async def ask(method: str, path: str, status: int = 200, **more: Any) -> Any:
        answer = await asyncio.to_thread(asked, server, own, method, path, **more)
        assert answer.status_code == status, answer.text
        return answer.json()

    body: dict[str, Any] = {"room": "demo", "document": document(), "environment": {"A_KEY": "s3cret-value"}}
    made = await ask("POST", "/services", json=body)
    same = await ask("POST", "/services", json=body)
    assert (same["id"], same["created"], same["revision"]) == (made["id"], False, 1)
    other = {**body, "environment": {"A_KEY": "another"}}
    assert (await ask("POST", "/services", json=other))["revision"] == 2
    assert "s3cret" not in json.dumps(made)
    path = f"/services/{made['id']}"
    assert (await ask("POST", f"{path}/rollback"))["revision"] == 1
    assert (await ask("POST", f"{path}/stop"))["enabled"] is False
    assert (await ask("GET", path))["state"]["phase"] == "stopped"
    assert (await ask("POST", f"{path}/restart"))["enabled"] is True
    text = (await ask("GET", f"{path}/logs?lines=50"))["text"]
    assert "[service] starting" in text
    twice = {**body, "document": {**document(), "metadata": {"name": "second"}}}
    assert "is 'bot' already" in (await ask("POST", "/services", 400, json=twice))["error"]["message"]
    await ask("POST", "/services", 400, json={**body, "room": "../x"})
    await ask("POST", "/services", 400, json={**body, "environment": {"A": 1}})
    await ask("POST", "/services", 400, json={"room": "demo", "document": {}, "environment": {}})
    await ask("GET", f"{path}/logs?lines=many", 400)
    await ask("POST", f"{path}/explode", 404)
    await ask("GET", "/services/nothing", 404)
    await ask("DELETE", path)
    assert (await ask("GET", "/services"))["services"] == []
    assert not list((server.paths.root / "services").glob("*-*"))


async def test_participants_see_services_and_cannot_restart_them(server: LocalRoom) -> None:
    from meshagent.api.room_server_client import RoomException, ServicesClient

    planned = document("desk", "bot", "--rule", "a secret plan")
    service, _ = await server.services.put("demo", planned, {})
    await server.services.put("other", document("elsewhere", "other"), {})
    async with server.client("ana") as client:
        listed = await ServicesClient(room=client).list()
        assert [each.metadata.name for each in listed.services] == ["desk"]
        shown: Any = listed.services[0]
        assert shown.container.command is None
        assert listed.service_states[service.record.id].state in ("scheduled", "starting")
        with pytest.raises(RoomException, match="by its owner"):
            await ServicesClient(room=client).restart(service_id=service.record.id)


async def test_services_are_there_when_the_server_is_again(tmp_path: Path) -> None:
    async with local_room(tmp_path) as room:
        await room.services.start()
        await room.services.put("demo", document(), {"A": "1"})
        stopped, _ = await room.services.put("demo", document("second", "two"), {})
        await room.services.switch(stopped, enabled=False)
    async with local_room(tmp_path) as again:
        assert again.services.all() == []
        await again.services.start()
        found = {s.record.name: s.record.enabled for s in again.services.all("demo")}
        assert found == {"desk": True, "second": False}
        assert again.services.find(stopped.record.id).facts().phase is Phase.STOPPED
