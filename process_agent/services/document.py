"""The service document: what MeshAgent needs to know to run an agent in a container of a room."""

from __future__ import annotations

import copy
import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass

from process_agent.core.content import Json
from process_agent.core.discovery import ChatProfile
from process_agent.errors import UsageError

PROGRAM = ("process", "join")

MAX_SERVICE_NAME = 100
"""Characters of a service's name."""

TOKEN_VARIABLE = "MESHAGENT_TOKEN"  # noqa: S105 - the name of a variable
"""The way into the room. MeshAgent makes the token when the container starts: no document has one."""

AGENT_API: dict[str, Json] = {
    "livekit": {},
    "queues": {"list": True},
    "messaging": {"broadcast": True, "list": True, "send": True},
    "dataset": {"list_tables": True},
    "sqlite": {"create_database": True, "list_databases": True},
    "memory": {"list": True},
    "sync": {},
    "storage": {},
    "containers": {"logs": True, "use_containers": True},
    "developer": {"logs": True},
    "agents": {
        "register_agent": True,
        "register_public_toolkit": True,
        "register_private_toolkit": True,
        "call": True,
        "use_agents": True,
        "use_tools": True,
    },
    "llm": {},
    "services": {"list": True},
}
"""What the token allows: what an agent may do by default, spelled out as MeshAgent's own tool does."""

_VOLUME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_IMAGE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/@-]{0,499}")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_SECRET_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:-]{0,199}")


@dataclass(frozen=True, slots=True)
class ShippedFile:
    """A file of this machine that the container gets, at this absolute path of the container."""

    path: str
    text: str


@dataclass(frozen=True, slots=True)
class SecretVariable:
    """A variable whose value MeshAgent takes from the secret with this id."""

    name: str
    secret_id: str


@dataclass(frozen=True, slots=True)
class PlainVariable:
    """A variable with a value that everybody may read."""

    name: str
    value: str


@dataclass(frozen=True, slots=True)
class SharedVolume:
    """A volume of the project, and where the container has it."""

    name: str
    path: str


@dataclass(frozen=True, slots=True)
class Service:
    """An agent to describe.

    `flags` are those of `process join`, a word each, without room, project and service. `chat` is None when
    the agent has no chat channel. `run_as` is the mail address of the service account that may read the
    secrets.
    """

    name: str
    agent_name: str
    image: str
    flags: Sequence[str]
    chat: ChatProfile | None = None
    description: str | None = None
    files: Sequence[ShippedFile] = ()
    secrets: Sequence[SecretVariable] = ()
    variables: Sequence[PlainVariable] = ()
    volume: SharedVolume | None = None
    run_as: str | None = None


def service_document(service: Service) -> dict[str, Json]:
    """The document, of plain JSON values and without nulls. Raises `UsageError` for what it cannot hold."""
    _check(service)
    about = framed(service.name, service.description, service.agent_name, service.chat)
    return {**about, "container": _container(service)}


def framed(name: str, description: str | None, agent_name: str, chat: ChatProfile | None) -> dict[str, Json]:
    """The members of every document of one agent, all but the container."""
    metadata: dict[str, Json] = {"name": name}
    if description:
        metadata["description"] = description
    metadata["annotations"] = {"meshagent.service.id": name}
    agent: dict[str, Json] = {"name": agent_name}
    if chat is not None:
        agent["annotations"] = dict(chat.annotations())
    return {
        "version": "v1",
        "kind": "Service",
        "enabled": True,
        "metadata": metadata,
        "agents": [agent],
        "ports": [],
    }


def secret_variable(text: str) -> SecretVariable:
    """Read `NAME=ID`. Raises `UsageError`, without quoting what may be a secret's value."""
    name, _, secret_id = text.partition("=")
    if not _VARIABLE.fullmatch(name) or not _SECRET_ID.fullmatch(secret_id):
        raise UsageError(
            "--secret takes the name of a variable and the id of a secret.",
            fix="Write it like --secret SMTP_PASSWORD=sec_1.",
        )
    if name == TOKEN_VARIABLE:
        raise UsageError(f"{TOKEN_VARIABLE} is made by MeshAgent and cannot be a --secret.")
    return SecretVariable(name, secret_id)


def plain_variable(text: str) -> PlainVariable:
    """Read `NAME=VALUE`. Raises `UsageError`."""
    name, given, value = text.partition("=")
    if not _VARIABLE.fullmatch(name) or not given:
        raise UsageError(
            "--env takes the name of a variable and its value, which the document shows to everybody.",
            fix="Write it like --env LANG=C.UTF-8; for keys there is --secret NAME=ID.",
        )
    if name == TOKEN_VARIABLE:
        raise UsageError(f"{TOKEN_VARIABLE} is made by MeshAgent and cannot be an --env.")
    return PlainVariable(name, value)


def _container(service: Service) -> dict[str, Json]:
    container: dict[str, Json] = {
        "image": service.image,
        "template": "agent",
        "command": shlex.join((*PROGRAM, *service.flags)),
        "environment": _environment(service),
    }
    if service.run_as is not None:
        container["run_as"] = {"email": service.run_as}
    storage: dict[str, Json] = {}
    if service.volume is not None:
        storage["volumes"] = [{"name": service.volume.name, "path": service.volume.path}]
    if service.files:
        storage["files"] = [
            {"path": file.path, "text": file.text, "read_only": True} for file in service.files
        ]
    if storage:
        container["storage"] = storage
    container["private"] = True
    return container


def _environment(service: Service) -> list[Json]:
    token: dict[str, Json] = {
        "identity": service.agent_name,
        "role": "agent",
        "api": copy.deepcopy(AGENT_API),
    }
    named: list[Json] = [
        {"name": secret.name, "secret": {"id": secret.secret_id}} for secret in service.secrets
    ]
    plain: list[Json] = [{"name": each.name, "value": each.value} for each in service.variables]
    return [*plain, *named, {"name": TOKEN_VARIABLE, "token": token}]


def check_name(name: str) -> None:
    """Raise `UsageError` for what cannot be a service's name."""
    if not name.strip() or len(name) > MAX_SERVICE_NAME or not name.isprintable():
        raise UsageError(
            f"{name[:MAX_SERVICE_NAME]!r} cannot be a service's name.",
            fix=f"It has 1 to {MAX_SERVICE_NAME} characters that can be printed.",
        )


def _check(service: Service) -> None:
    check_name(service.name)
    if not _IMAGE.fullmatch(service.image):
        raise UsageError(
            f"--image {service.image[:100]!r} is not the name of an image.",
            fix="Write it like registry.example.com/team/process:1.0.",
        )
    if bool(service.secrets) != (service.run_as is not None):
        raise UsageError(
            "--secret and --run-as need each other.",
            fix="Name the service account that may read the secrets: --run-as bot@project.example.com.",
        )
    if service.run_as is not None and not service.run_as.strip():
        raise UsageError("--run-as is empty.")
    names = [each.name for each in service.secrets] + [each.name for each in service.variables]
    if len(set(names)) != len(names):
        raise UsageError("Two of --secret and --env set one variable.", fix="Name it once.")
    if service.volume is not None and not _VOLUME.fullmatch(service.volume.name):
        raise UsageError(f"--volume {service.volume.name[:100]!r} is not the name of a volume.")
