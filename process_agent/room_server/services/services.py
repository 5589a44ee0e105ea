"""All services of one data folder, while its server runs."""

from __future__ import annotations

import asyncio
import sys
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from process_agent.config import DataPaths, environment_for_child
from process_agent.core.content import Json
from process_agent.errors import BackendError, ProcessError, WireError
from process_agent.io.child import Command
from process_agent.io.leftovers import VARIABLE, Mark, mark_children
from process_agent.room_server.services.files import ServiceFiles
from process_agent.room_server.services.log import ServiceLog
from process_agent.room_server.services.running import RunningService
from process_agent.services.credentials import secret_values
from process_agent.services.local import MAX_SERVICES, Record, Revision, checked
from process_agent.services.supervision import Enabled, Phase, Policy, RestartAsked

CLOSE_SECONDS = 13.0
"""How long services have to end what they do when the server stops; an agent's own limit is 10 s."""

PROGRAM = (sys.executable, "-P", "-m", "process_agent.cli.service_agent")
"""Our own program, whatever the PATH of the one who deployed says."""

_OURS = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "PYTHONPATH", "VIRTUAL_ENV")

type Present = Callable[[str, str], bool]
"""Whether an agent is in a room: the room's name, the agent's name."""


class LocalServices:
    """The services: kept in files, run by this server. Whoever calls `start` calls `close`."""

    def __init__(self, paths: DataPaths, policy: Policy | None = None) -> None:
        self._paths = paths
        self._files = ServiceFiles(paths)
        self._present: Present = lambda _room, _agent: False
        self._policy = policy
        self._running: dict[str, RunningService] = {}
        self._mark: Mark | None = None

    def watch(self, present: Present) -> None:
        """Where to look whether an agent is in its room; told once, before the start."""
        self._present = present

    async def start(self) -> None:
        """End what an earlier server that was killed may have left, and start what shall run.

        Raises `BackendError` when the folder cannot be written.
        """
        if self._mark is not None:
            return
        self._mark = await asyncio.to_thread(mark_children, self._files.root / "marks")
        for record in await asyncio.to_thread(lambda: list(self._files.records())):
            self._take_in(record)

    async def close(self) -> None:
        """Have all end what they do, and end them. They start again with the next server."""
        await asyncio.gather(*(service.close(CLOSE_SECONDS) for service in self._running.values()))
        self._running.clear()
        if self._mark is not None:
            await asyncio.to_thread(self._mark.remove)
            self._mark = None

    def all(self, room: str | None = None) -> list[RunningService]:
        """The services, of one room or of all, by name."""
        found = [s for s in self._running.values() if room in (None, s.record.room)]
        return sorted(found, key=lambda s: (s.record.room, s.record.name))

    def find(self, service_id: str) -> RunningService:
        """The service with an id. Raises `KeyError`."""
        return self._running[service_id]

    async def put(
        self, room: str, document: Mapping[str, Json], environment: Mapping[str, str]
    ) -> tuple[RunningService, bool]:
        """Register a service, or update the one of this name in this room and start it anew.

        Returns it, and whether it is new. Raises `WireError` and `UsageError`.
        """
        if self._mark is None:
            raise WireError("This server runs no services.")
        draft = Record(str(uuid.uuid4()), room, Revision(1, checked(document)))
        there = next((s for s in self.all(room) if s.record.name == draft.name), None)
        self._check_agent(draft, there)
        record = draft if there is None else there.record.updated(document)
        if there is not None and await asyncio.to_thread(self._same, there.record, record, environment):
            return there, False
        await asyncio.to_thread(self._files.save, record, environment)
        if there is None:
            return self._take_in(record), True
        self._changed(there, record)
        return there, False

    async def roll_back(self, service: RunningService) -> None:
        """Go back to what was deployed before. Raises `WireError` when there is nothing."""
        record = service.record.rolled_back()
        await asyncio.to_thread(self._files.save, record)
        self._changed(service, record)

    async def switch(self, service: RunningService, enabled: bool) -> None:
        """Have it run from now on, or not, also after a restart of the server."""
        record = service.record.switched(enabled)
        await asyncio.to_thread(self._files.save, record)
        service.record = record
        service.tell(Enabled(enabled))

    async def restart(self, service: RunningService) -> None:
        """Start it anew; one that was stopped is enabled by that."""
        if not service.record.enabled:
            await self.switch(service, enabled=True)
        else:
            service.tell(RestartAsked())

    async def remove(self, service: RunningService) -> None:
        """End it and forget it."""
        del self._running[service.record.id]
        await service.close(CLOSE_SECONDS)
        await asyncio.to_thread(self._files.remove, service.record.id)

    def _same(self, old: Record, new: Record, environment: Mapping[str, str]) -> bool:
        """Whether a deploy changes nothing. One whose environment is lost changes it."""
        try:
            return dict(old.document) == dict(new.document) and self._files.environment(old) == environment
        except (ProcessError, OSError, ValueError):
            return False

    def _check_agent(self, draft: Record, there: RunningService | None) -> None:
        """Two services that are one agent would get in each other's way."""
        if there is None and len(self._running) >= MAX_SERVICES:
            raise WireError(
                f"There are {MAX_SERVICES} services already.", fix="Remove some that are not needed."
            )
        for other in self.all(draft.room):
            if other is not there and other.record.agent_name == draft.agent_name:
                raise WireError(
                    f"The service {other.record.name!r} of this room is {draft.agent_name!r} already.",
                    fix="Give this one another --agent-name, or deploy it under that --service-name.",
                )

    def _take_in(self, record: Record) -> RunningService:
        log = ServiceLog(self._files.folder(record.id))

        def here(record: Record) -> bool:
            return self._present(record.room, record.agent_name)

        service = RunningService(record, log, self._launch, here, self._policy)
        self._running[record.id] = service
        service.tell(Enabled(record.enabled))
        return service

    def _changed(self, service: RunningService, record: Record) -> None:
        service.record = record
        if record.enabled:
            service.tell(RestartAsked())

    def _launch(self, record: Record) -> Command:
        """Raises `BackendError` when the environment or the folder of the service are not there."""
        try:
            environment = self._files.environment(record)
        except (ProcessError, OSError, ValueError) as error:
            raise BackendError(f"The environment of the service cannot be read: {error}.") from error
        service = self._running[record.id]
        service.log.hidden = secret_values(environment)
        folder = Path(record.folder)
        if not folder.is_dir():
            raise BackendError(f"The folder {folder} where the service starts is not there.")
        word = {} if self._mark is None else {VARIABLE: self._mark.word}
        # What files of settings said was among the flags of the deploy.
        place = ("--profile", "none", "--local", "--room", record.room, "--data-dir", str(self._paths.root))
        return Command(
            (*PROGRAM, "join", *record.flags, *place),
            {**environment_for_child(_OURS), **environment, **word},
            folder,
        )


def as_json(service: RunningService) -> dict[str, Any]:
    """A service for its owner: its record's facts, its document, how it is."""
    record = service.record
    return {
        "id": record.id,
        "name": record.name,
        "room": record.room,
        "agent": record.agent_name,
        "enabled": record.enabled,
        "revision": record.current.number,
        "previous_revision": None if record.previous is None else record.previous.number,
        "state": service.facts().as_json(),
        "document": dict(record.document),
    }


def is_settled(service: RunningService) -> bool:
    """Whether it does what it shall."""
    phase = service.facts().phase
    return phase is (Phase.RUNNING if service.record.enabled else Phase.STOPPED)
