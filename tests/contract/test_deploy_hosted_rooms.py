"""What a hosted room knows of services: how they are, their logs, restarts; and that one visit is enough."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from process_agent import config
from process_agent.cli import services_hosted as hosted_module
from process_agent.cli.service_place import Wanted
from process_agent.room_server.toolkit import Call, Chunks, Content, SendChunk, binary_content, json_content
from process_agent.room_server.toolkits import RoomToolkits
from process_agent.rooms import join as join_module
from tests.contract.hosted import AGENT, DEPLOY, IMAGE, ROOM, Typed, run
from tests.fakes.meshagent_rest import RestStandIn, as_json
from tests.fakes.room import LocalRoom

pytestmark = pytest.mark.timeout(300, func_only=True)


class Controller:
    """What a hosted room says of its services and containers; `states` is what the test wants it to say."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.unary = frozenset({"list", "restart"})
        self.streamed = frozenset({"logs"})
        self.states: list[dict[str, Any]] = []
        self.restarted: list[str] = []
        self.printed = "started\n"
        self.container = "c1"

    async def call(self, call: Call) -> Content:
        if call.tool == "restart":
            self.restarted.append(call.arguments.json["service_id"])
            return json_content({})
        return json_content({"services_json": [], "service_states": self.states})

    async def stream(self, call: Call, chunks: Chunks, send: SendChunk) -> None:
        first = await anext(aiter(chunks))
        assert first.headers["container_id"] == self.container
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
    controllers: dict[str, Controller], typed: Typed, rest: RestStandIn, hosted_room: LocalRoom
) -> None:
    deploy, where = f"{DEPLOY} --image {IMAGE}", f"--room {ROOM}"
    made = as_json((await run(typed, f"{deploy} --json")).stdout)
    services, containers = controllers["services"], controllers["containers"]
    state = {"service_id": made["id"], "state": "running", "container_id": "c1", "restart_count": 2}
    services.states = [state]
    listed = as_json((await run(typed, f"service list {where} --json")).stdout)
    assert (listed["state"]["phase"], listed["state"]["room_says"]) == ("starting", "running")
    async with hosted_room.client("codex-agent", "agent", ROOM) as agent:
        await agent.messaging.enable()
        waited = await run(typed, f"{deploy} --wait --wait-timeout 30")
        assert "codex-agent: running" in waited.stderr
        assert "started" in waited.stderr
        shown = await run(typed, f"service show codex-agent {where}")
        assert "restarts  2" in shown.stdout
        old = await run(typed, f"{deploy} --network --wait --wait-timeout 1", code=6)
        assert "not yet in a new container" in old.stderr
    containers.printed = "one\ntwo\nthree\n"
    assert (await run(typed, f"service logs codex-agent {where} -n 2")).stdout == "two\nthree\n"
    services.states = [{**state, "restart_scheduled_at": 2e9, "last_start_error": "no such image"}]
    failed = await run(typed, f"{deploy} --network --wait --wait-timeout 30", code=5)
    assert "no such image" in failed.stderr
    await run(typed, f"service restart codex-agent {where}")
    assert services.restarted == [made["id"]]


async def test_one_visit_follows_a_log_of_any_length_over_containers(
    controllers: dict[str, Controller],
    typed: Typed,
    rest: RestStandIn,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """`logs --follow` and `deploy --wait` ask again and again, and join once."""
    made = as_json((await run(typed, f"deploy --project {AGENT} --image {IMAGE} --json")).stdout)
    services, containers = controllers["services"], controllers["containers"]
    services.states = [{"service_id": made["id"], "state": "running", "container_id": "c1"}]
    visits: list[str] = []
    joining = join_module.join_room

    def counted(target: Any, **named: Any) -> Any:
        visits.append(target.room)
        return joining(target, **named)

    monkeypatch.setattr(join_module, "join_room", counted)
    monkeypatch.setattr(hosted_module, "MAX_LOG", 8)

    def follow() -> list[str]:
        heard = []
        wanted = Wanted(ROOM, project=True)
        with hosted_module.HostedPlace(wanted, config.load(), ROOM) as place:
            [found] = place.services()
            assert (found.facts["room"], found.state and found.state["phase"]) == (ROOM, "starting")
            text, position = place.log_tail(found, 100)
            heard.append(text)
            for container, printed in (("c1", "started\nmore\n"), ("c1", "started\nmore\n"), ("c2", "new\n")):
                services.states[0]["container_id"] = containers.container = container
                containers.printed = printed
                place.pause(0)
                text, position = place.log_after(found, position)
                heard.append(text)
        return heard

    assert await asyncio.to_thread(follow) == ["started\n", "more\n", "", "new\n"]
    assert visits == [ROOM]
    containers.printed = "\x1b]0;mine\x07\x1b[2Jred\n"
    shown = await run(typed, f"service logs codex-agent --project --room {ROOM}")
    assert shown.stdout == "red\n", "a container does not drive the terminal"
    refused = await run(typed, f"service stop codex-agent --project --room {ROOM}", code=2)
    assert "Leave --room out" in refused.stderr
