"""A service of the local room: what is kept of it, and how it reads to MeshAgent's own programs. Pure.

The document has the form of MeshAgent's. Its container is this machine: no image, no token, and of the
environment the names only. The values are in a file beside the record, for their owner's eyes.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import cast

from process_agent.core.content import Json
from process_agent.core.discovery import ChatProfile
from process_agent.errors import WireError
from process_agent.services.document import PROGRAM, check_name, framed

IMAGE = "none"
"""What stands for the image of a service that runs on this machine."""

VERSION = 1

MAX_SERVICES = 64
"""Most services of one data folder."""


@dataclass(frozen=True, slots=True)
class LocalService:
    """An agent to run. `flags` are those of `process join` without room and place, `folder` is where it
    starts, `variables` are the names of its environment.
    """

    name: str
    agent_name: str
    folder: str
    flags: Sequence[str]
    variables: Sequence[str] = ()
    chat: ChatProfile | None = None
    description: str | None = None


@dataclass(frozen=True, slots=True)
class Revision:
    """One deploy: its number, and its document."""

    number: int
    document: Mapping[str, Json]


@dataclass(frozen=True, slots=True)
class Record:
    """A service that is kept: its place, what runs, and what ran before."""

    id: str
    room: str
    current: Revision
    previous: Revision | None = None

    @property
    def document(self) -> Mapping[str, Json]:
        """What runs."""
        return self.current.document

    @property
    def name(self) -> str:
        """The service's name."""
        return str(cast(Mapping[str, Json], self.document["metadata"])["name"])

    @property
    def agent_name(self) -> str:
        """The name under which it is in its room."""
        agents = cast(Sequence[Mapping[str, Json]], self.document["agents"])
        return str(agents[0]["name"])

    @property
    def enabled(self) -> bool:
        """Whether it shall run."""
        return self.document.get("enabled") is True

    @property
    def folder(self) -> str:
        """Where it starts."""
        return str(cast(Mapping[str, Json], self.document["container"])["working_dir"])

    @property
    def flags(self) -> list[str]:
        """Those of `process join`."""
        return _flags(cast(Mapping[str, Json], self.document["container"]))

    def switched(self, enabled: bool) -> Record:
        """The same, enabled or not."""
        document = {**self.document, "enabled": enabled}
        return replace(self, current=replace(self.current, document=document))

    def updated(self, document: Mapping[str, Json]) -> Record:
        """With a new document; whether it is enabled stays. Raises `WireError`."""
        document = {**checked(document), "enabled": self.enabled}
        return replace(self, current=Revision(self.newest + 1, document), previous=self.current)

    def rolled_back(self) -> Record:
        """With the document before this one; whether it is enabled stays. Raises `WireError`."""
        if self.previous is None:
            raise WireError(
                f"The service {self.name!r} was deployed once only: there is nothing to go back to."
            )
        document = {**self.previous.document, "enabled": self.enabled}
        return replace(self, current=replace(self.previous, document=document), previous=self.current)

    @property
    def newest(self) -> int:
        """The highest number among the revisions."""
        return max(self.current.number, 0 if self.previous is None else self.previous.number)


def local_document(service: LocalService) -> dict[str, Json]:
    """The document, of plain JSON values and without nulls. Raises `UsageError` for what it cannot hold."""
    check_name(service.name)
    return {
        **framed(service.name, service.description, service.agent_name, service.chat),
        "container": {
            "image": IMAGE,
            "template": "none",
            "command": shlex.join((*PROGRAM, *service.flags)),
            "working_dir": service.folder,
            "environment": [{"name": name} for name in service.variables],
            "private": True,
        },
    }


def shown_in_the_room(record: Record) -> dict[str, Json]:
    """What participants may see of a service: not how it is started, nor where."""
    container: dict[str, Json] = {"image": IMAGE, "template": "none", "private": True}
    return {**record.document, "container": container, "id": record.id}


def checked(document: Mapping[str, Json]) -> dict[str, Json]:
    """A document that can be kept and run. Raises `WireError` for any other."""
    metadata, container = document.get("metadata"), document.get("container")
    agents = document.get("agents")
    sound = (
        document.get("kind") == "Service"
        and isinstance(metadata, dict)
        and isinstance(metadata.get("name"), str)
        and isinstance(container, dict)
        and isinstance(container.get("working_dir"), str)
        and isinstance(agents, list)
        and len(agents) == 1
        and isinstance(agents[0], dict)
        and isinstance(agents[0].get("name"), str)
    )
    if not sound or not isinstance(container, dict) or container.get("image") != IMAGE:
        raise WireError(
            "This is not the document of a service that the local room can run.",
            fix="The local room runs agents of this program: use process deploy.",
        )
    _flags(container)
    return dict(document)


def only_switched(sent: Mapping[str, Json], ours: Mapping[str, Json]) -> bool:
    """Whether a document that a client sends back differs in nothing but whether the service is enabled.
    Published clients add the id, and what is empty.
    """
    left_out = ("id", "enabled")
    return _without_empty(sent, left_out) == _without_empty(ours, left_out)


def _without_empty(value: Mapping[str, Json], left_out: Sequence[str] = ()) -> dict[str, Json]:
    found = {key: _filled(part) for key, part in value.items() if key not in left_out}
    return {key: part for key, part in found.items() if part not in (None, False, "", [], {})}


def _filled(value: Json) -> Json:
    if isinstance(value, dict):
        return _without_empty(value)
    return [_filled(part) for part in value] if isinstance(value, list) else value


def write_record(record: Record) -> dict[str, Json]:
    """The record as JSON."""
    found: dict[str, Json] = {"version": VERSION, "id": record.id, "room": record.room}
    for key, revision in (("current", record.current), ("previous", record.previous)):
        if revision is not None:
            found[key] = {"number": revision.number, "document": dict(revision.document)}
    return found


def read_record(value: object) -> Record:
    """The record that `write_record` wrote. Raises `WireError`."""
    if not isinstance(value, dict) or value.get("version") != VERSION:
        raise WireError("This is not the record of a service, or one of a newer version of this program.")
    current = _revision(value.get("current"))
    previous = None if value.get("previous") is None else _revision(value["previous"])
    service_id, room = value.get("id"), value.get("room")
    if not isinstance(service_id, str) or not isinstance(room, str):
        raise WireError("The record of a service has no id or no room.")
    return Record(service_id, room, current, previous)


def _revision(value: object) -> Revision:
    if not isinstance(value, dict) or not isinstance(value.get("document"), dict):
        raise WireError("The record of a service has no document.")
    number = value.get("number")
    if not isinstance(number, int) or isinstance(number, bool) or number < 1:
        raise WireError("The record of a service has no number.")
    return Revision(number, checked(value["document"]))


def _flags(container: Mapping[str, Json]) -> list[str]:
    """Raises `WireError` unless the command is ours."""
    try:
        words = shlex.split(str(container.get("command")))
    except ValueError as error:
        raise WireError(f"The command of a service cannot be read: {error}.") from error
    if tuple(words[: len(PROGRAM)]) != PROGRAM:
        raise WireError("The command of a local service is `process join` and nothing else.")
    return words[len(PROGRAM) :]
