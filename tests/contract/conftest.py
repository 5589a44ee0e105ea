"""The real program beside a scripted model, for the tests that type its commands."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from process_agent.scripted.server import ScriptedServer
from tests.contract.hosted import Typed
from tests.contract.published.program import Program as Published
from tests.contract.published.program import python_client
from tests.fakes.meshagent_rest import RestStandIn, rest_stand_in
from tests.fakes.program import Loaded, Program
from tests.fakes.room import LocalRoom, local_room


@pytest.fixture
async def model() -> AsyncIterator[ScriptedServer]:
    """A scripted model that records what it is asked."""
    async with ScriptedServer() as server:
        yield server


@pytest.fixture
async def program(tmp_path: Path, model: ScriptedServer) -> AsyncIterator[Program]:
    """The program in a home of its own, with a key for that model as if it were OpenAI."""
    started = Loaded(
        tmp_path / "home",
        OPENAI_BASE_URL=model.base_url,
        OPENAI_API_KEY=model.api_key,
        PROCESS_DATA_DIR=str(tmp_path / "data"),
    )
    yield started
    await asyncio.to_thread(started.stop_room)


@pytest.fixture
async def hosted_room(tmp_path: Path) -> AsyncIterator[LocalRoom]:
    """The hosted room: one that speaks its protocol."""
    async with local_room(tmp_path) as opened:
        yield opened


@pytest.fixture
async def rest(hosted_room: LocalRoom) -> AsyncIterator[RestStandIn]:
    """MeshAgent's REST API, with a key whose tokens that room takes."""
    async with rest_stand_in(f"ma-{'A' * 22}-{'A' * 22}-{hosted_room.key}") as stand_in:
        yield stand_in


@pytest.fixture
def typed(
    tmp_path: Path,
    rest: RestStandIn,
    hosted_room: LocalRoom,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Typed:
    """Our command line in this process, logged in there."""
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.chdir(work)
    for name, value in (
        ("MESHAGENT_API_URL", rest.url),
        ("MESHAGENT_ROOM_URL", hosted_room.url),
        ("MESHAGENT_API_KEY", rest.key),
        ("PROCESS_DATA_DIR", str(tmp_path / "data")),
    ):
        monkeypatch.setenv(name, value)
    return Typed(work, capsys)


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[LocalRoom]:
    """A local room in this process, with nobody in it."""
    async with local_room(tmp_path) as room:
        yield room


@pytest.fixture(scope="session")
def published(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Published]:
    """The program that plays published chat clients; each test has sessions of its own in it."""
    with python_client(tmp_path_factory.mktemp("published")) as started:
        yield started
