"""From the flags of `process spec` and `process deploy` to the service that they describe."""

from __future__ import annotations

import sys
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, TypedDict

import typer

from process_agent.cli.flag_sets import of_a_file, typed
from process_agent.cli.given_flags import OF_A_MACHINE, OF_THE_SERVICE, PLACES, SHIPPED, given
from process_agent.cli.profiles import USED
from process_agent.errors import UsageError

if TYPE_CHECKING:
    from process_agent.cli.channel_flags import ChannelFlags
    from process_agent.cli.checked import JoinOptions
    from process_agent.cli.model_flags import ModelFlags
    from process_agent.cli.outside_flags import OutsideFlags
    from process_agent.cli.thread_flags import ThreadFlags
    from process_agent.cli.tool_flags import ToolFlags
    from process_agent.core.content import Json
    from process_agent.core.discovery import ChatProfile
    from process_agent.services.document import Service
    from process_agent.services.local import LocalService


class Grouped(TypedDict):
    """The flags that are checked by subject."""

    channel_flags: ChannelFlags
    model_flags: ModelFlags
    tool_flags: ToolFlags
    thread_flags: ThreadFlags
    outside: OutsideFlags


type Params = Mapping[str, Any]
"""What was typed, by the name of the option's parameter, with the defaults of the rest; paths as texts."""

ROOM_STORAGE = "/data"
"""Where the template `agent` has the room's storage in a container."""

VOLUME = "/workspace"
"""Where a volume is, in the container of an agent that works in one."""


def container_service(context: typer.Context) -> Service:
    """An agent in a container. Raises `UsageError` for what would end `process join` there."""
    from process_agent import config
    from process_agent.cli.shipped_files import shipped_files
    from process_agent.services.document import Service, SharedVolume, plain_variable, secret_variable

    ours = {name for name in PLACES if of_a_file(context, name)}
    params = _without_folders_of_ours(context, ours)
    options = agent_options(params, here=False)
    shipped = shipped_files(params, ours)
    _check_folders(params)
    name = checked_name(options)
    volume = params.get("volume")
    working = () if params["working_dir"] is not None else _workspace(options, params, volume)
    flags = (*given(context, OF_THE_SERVICE | SHIPPED | ours), *working, *shipped.flags)
    service_name = params["service_name"]
    return Service(
        name=service_name if service_name is not None else name,
        agent_name=name,
        image=_image(params["image"] or config.load().image),
        flags=flags,
        chat=_chat(options, name),
        description=params["service_description"],
        files=shipped.files,
        secrets=tuple(secret_variable(text) for text in params["secret"] or ()),
        variables=tuple(plain_variable(text) for text in params.get("env") or ()),
        volume=None if volume is None else SharedVolume(volume, VOLUME),
        run_as=params["run_as"],
    )


def _without_folders_of_ours(context: typer.Context, ours: Collection[str]) -> Params:
    """The parameters without folders of this machine that a file of settings names: a container has its own.
    Says so on standard error.
    """
    from process_agent.viewer.terminal.plain import printable

    params = dict(context.params)
    for name in OF_A_MACHINE:
        if name in ours:
            key = name.replace("_", "-")
            place = context.meta[USED].values[key].place
            print(
                printable(f"process: {key} of {place} is a folder of this machine, and not the container's"),
                file=sys.stderr,
            )
            params[name] = None
    return params


def local_service(context: typer.Context) -> tuple[LocalService, dict[str, str]]:
    """An agent on this machine, and its environment. Raises `UsageError` for what `process join` refuses."""
    from process_agent.cli.service_environment import local_environment
    from process_agent.services.local import LocalService

    params = context.params
    for name in ("image", "secret", "run_as", "volume"):
        if typed(context, name):  # in a file of settings it is for hosted rooms, and no mistake
            raise UsageError(
                f"--{name.replace('_', '-')} is for hosted rooms: in the local room the agent runs here.",
                fix="Leave it out; --env NAME gives the agent a variable of this environment.",
            )
    options = agent_options(params, here=True)
    if options.providers.kind == "meshagent":
        raise UsageError("--provider meshagent needs a hosted room, whose project pays for the models.")
    name = checked_name(options)
    environment = local_environment(params, options)
    service_name = params["service_name"]
    service = LocalService(
        name=service_name if service_name is not None else name,
        agent_name=name,
        folder=str(Path.cwd()),
        flags=tuple(given(context, OF_THE_SERVICE, absolute=True)),
        variables=tuple(sorted(environment)),
        chat=_chat(options, name),
        description=params["service_description"],
    )
    return service, environment


def service_name(params: Params) -> str:
    """The service's name: its own, else the agent's. Raises `UsageError` when there is neither."""
    name: str | None = params["service_name"] or params["agent_name"]
    if name is None:
        raise UsageError("Which service?", fix="Name it with --service-name.")
    return name


def agent_options(params: Params, *, here: bool) -> JoinOptions:
    """The options of the agent, checked: with the places they name on this machine, or as far as it can be
    told for another. Raises `UsageError`.
    """
    from process_agent.channels.specs import parse_channels
    from process_agent.cli.checked import checked
    from process_agent.cli.rule_flags import rules_options

    return checked(
        room=None,
        agent_name=params["agent_name"],
        channels=parse_channels(params["channel"] or ()),
        backends=params["backend"],
        models=params["model"],
        provider=params["provider"],
        working_dir=_path(params, "working_dir") if here else None,
        workspace=params["workspace"],
        worktrees=_path(params, "worktrees"),
        sandbox=params["sandbox"],
        approvals=params["approvals"],
        approver=params["approver"],
        approval_seconds=params["approval_timeout"],
        network=params["network"],
        rules=rules_options(
            params["rule"], _paths(params, "rules_file"), params["room_rules"], params["instructions"]
        ),
        local=here,
        data_dir=None,
        join_seconds=params["join_timeout"],
        threading_mode=params["threading_mode"],
        thread_dir=params["thread_dir"],
        thread_storage=params["thread_storage"],
        thread_isolation=params["thread_isolation"],
        json=False,
        started=0.0,
        **_grouped(params, here=here),
    )


def _grouped(params: Params, *, here: bool) -> Grouped:
    from process_agent.cli.channel_flags import channel_flags
    from process_agent.cli.model_flags import model_flags
    from process_agent.cli.outside_flags import outside_flags
    from process_agent.cli.thread_flags import thread_flags
    from process_agent.cli.tool_flags import tool_flags

    def of(*names: str) -> list[Any]:
        return [params[name] for name in names]

    return {
        "channel_flags": channel_flags(
            *of("websocket_auth", "websocket_origin", "websocket_open", "channel_env", "channel_users")
        ),
        "model_flags": model_flags(
            params["reasoning_effort"],
            _paths(params, "skill_dir") if here else None,
            _path(params, "codex_home") if here else None,
            _path(params, "models_file"),
        ),
        "thread_flags": thread_flags(params["redact"], params["thread_retention"]),
        "tool_flags": tool_flags(
            *of("require_toolkit", "tool_search", "storage", "read_only_storage", "tool_approvals"),
            *of("tool_timeout", "mcp"),
        ).with_shell(*of("shell", "advanced_shell")),
        "outside": outside_flags(
            params["mcp_server"],
            _path(params, "mcp_config") if here else None,
            *of("web_search", "image_generation", "web_fetch"),
        ),
    }


def _path(params: Params, name: str) -> Path | None:
    return None if params[name] is None else Path(params[name])


def _paths(params: Params, name: str) -> list[Path] | None:
    return [Path(text) for text in params[name] or ()] or None


def refuse_credentials(document: dict[str, Json], flags: Sequence[str]) -> None:
    """Refuse them in the words of the command line too: its quotes could part a key."""
    from process_agent import config
    from process_agent.services import credentials

    settings = config.load()
    known = (
        settings.token,
        settings.api_key,
        settings.secret,
        settings.openai_api_key,
        settings.anthropic_api_key,
        settings.smtp.password,
    )
    credentials.refuse_credentials({**document, "flags": list(flags)}, known)


def _workspace(options: JoinOptions, params: Params, volume: str | None) -> Iterable[str]:
    """The working folder nobody named: what is written there has to outlive the container."""
    if volume is not None:
        return ("--working-dir", VOLUME)
    codex = "codex" in _backends(options)
    return ("--working-dir", ROOM_STORAGE) if codex or params["shell"] or params["advanced_shell"] else ()


def _backends(options: JoinOptions) -> list[str]:
    from process_agent.agent import registry
    from process_agent.agent.models import select

    chosen = select(options.backends, options.models, registry.installed())
    names = [name for name, _ in chosen.backends]
    registry.check(iter(names))
    return names


def checked_name(options: JoinOptions) -> str:
    """The agent's name. Raises `UsageError` for what would end `process join` wherever it runs."""
    from process_agent.cli.channel_flags import check_used
    from process_agent.cli.joining import usable_name

    if options.agent_name is None:
        raise UsageError("Under which name?", fix="Give one with --agent-name.")
    check_used(options)
    _backends(options)
    return usable_name(options.agent_name)


def _check_folders(params: Params) -> None:
    """Raise `UsageError` for a place that cannot be one of the container."""
    for name in ("working_dir", "worktrees", "codex_home"):
        folder = params[name]
        if folder is not None and not PurePosixPath(folder).is_absolute():
            flag = f"--{name.replace('_', '-')}"
            raise UsageError(
                f"{flag} {folder!r} is no folder of a container.",
                fix="Name it from its root, like /data, where the room's storage is.",
            )


def _chat(options: JoinOptions, name: str) -> ChatProfile | None:
    """What the agent's chat channel will say of itself, if it has one."""
    from process_agent.channels.specs import ChatSpec
    from process_agent.core.discovery import ChatProfile, only_thread
    from process_agent.threads.paths import directory_at, directory_of, namespace_of, temporary_directory_of

    if options.thread_storage == "dataset":
        directory = directory_at(namespace_of(options.thread_dir or directory_of(name)))
    else:
        directory = temporary_directory_of(name)
    if not any(isinstance(channel, ChatSpec) for channel in options.channels):
        return None
    return ChatProfile(name, directory, only_thread(directory) if options.single_thread else None)


def _image(image: str | None) -> str:
    if image is None:
        raise UsageError(
            "A service needs a container image, and none of ours is published yet.",
            fix="Build one with this package and Codex in it, push it where MeshAgent can pull it, "
            "and name it with --image or PROCESS_IMAGE.",
        )
    return image
