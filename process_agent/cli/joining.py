"""What `process join` does once its options are checked: room, model, store and agent, put together."""

from __future__ import annotations

import asyncio
import signal
import sys
import time
import uuid
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from process_agent.cli.channel_flags import websocket_lines
from process_agent.cli.health import Health
from process_agent.cli.health import answering as health_answers
from process_agent.cli.local import destination, reach, usable_folder
from process_agent.cli.providers import key_variable
from process_agent.cli.summary import Lines, as_json, as_text, studio_of
from process_agent.config import (
    Settings,
    environment_for_child,
    load_providers,
    secret_values,
    variable,
)
from process_agent.core.backend import BackendConfig, ModelEndpoint
from process_agent.core.providers import ModelProvider, behind, further, through_project
from process_agent.errors import AuthError, UsageError
from process_agent.rooms.tokens import read_claims

if TYPE_CHECKING:
    from process_agent.agent.assemble import AgentConfig, Ready
    from process_agent.agent.channels import AgentRoom
    from process_agent.cli.checked import JoinOptions
    from process_agent.core.backend import Backend
    from process_agent.core.room import Messaging
    from process_agent.core.store import ThreadStore
    from process_agent.rooms.credentials import Destination, JoinWish
    from process_agent.rooms.join import JoinedRoom, JoinTarget

BACKEND_ENVIRONMENT = (
    "PATH", "HOME", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "TMPDIR", "SHELL", "USER", "LOGNAME", "TERM",
    "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "all_proxy",
    "no_proxy", "SSL_CERT_FILE", "SSL_CERT_DIR", "CODEX_CA_CERTIFICATE",
    "SYSTEMROOT", "USERPROFILE", "APPDATA", "LOCALAPPDATA", "TEMP", "TMP",
    "CODEX_HOME", "PROCESS_CODEX_BINARY",
    # Where logins and sockets are, which the sandbox keeps from commands.
    "CLAUDE_CONFIG_DIR", "GH_CONFIG_DIR", "AWS_SHARED_CREDENTIALS_FILE", "AWS_CONFIG_FILE", "KUBECONFIG",
    "GOOGLE_APPLICATION_CREDENTIALS", "CLOUDSDK_CONFIG", "AZURE_CONFIG_DIR", "DOCKER_CONFIG", "GNUPGHOME",
    "NPM_CONFIG_USERCONFIG", "NETRC", "PGPASSFILE", "SSH_AUTH_SOCK", "XDG_RUNTIME_DIR",
)  # fmt: skip
"""Variables a backend may see; credentials are passed by name, never by inheritance."""


MAX_NAME = 100
"""Characters of an agent's name. It becomes part of its threads' paths, and so has no slash either."""


async def stay(options: JoinOptions, settings: Settings) -> None:
    """Join, run the agent until SIGTERM or Ctrl-C, drain, leave.

    Raises what the command line turns into exit codes: usage, auth, room and backend errors.
    """
    from process_agent.cli.attending import attend, preparing
    from process_agent.rooms.credentials import LocalRoom
    from process_agent.rooms.join import join_room

    # What can be known to be wrong is told before anything is started or joined.
    usable_folder(settings.paths(options.data_dir))
    place, wish = place_of(options, settings)
    stop, answering = asyncio.Event(), asyncio.Event()
    stop_on_signals(stop, answering)
    health = Health(stop)
    async with AsyncExitStack() as leaving:
        await leaving.enter_async_context(health_answers(options.health, health))
        prepared = await leaving.enter_async_context(preparing(options, settings))
        target = await reach(place, settings, wish, data_dir=options.data_dir, start=True, port=options.port)
        room = await leaving.enter_async_context(join_room(target, join_seconds=options.join_seconds))

        def on_ready(ready: Ready) -> None:
            lines = summary(options, room, ready, studio_of(settings.paths(options.data_dir), target))
            print(as_json(lines) if options.json else as_text(lines), flush=True)
            answering.set()
            health.backends, health.answers = prepared.backends.backends, True

        room.on_connection_change(health.went)
        room.on_connection_change(_say_back)
        await attend(prepared, target, room, on_ready, stop)
    if isinstance(place, LocalRoom):
        left = f"{prepared.config.agent_name} has left; the local room at {target.base_url} stays"
        print(f"{left} until `process room stop`", file=sys.stderr)


def place_of(options: JoinOptions, settings: Settings) -> tuple[Destination, JoinWish]:
    """Where the agent goes, and as whom. Raises what `local.destination` raises."""
    from process_agent.rooms.credentials import JoinWish

    wish = JoinWish(options.room, options.agent_name, "agent", options.local, options.project_id)
    return destination(settings, wish), wish


def inside(
    options: JoinOptions,
    room: JoinedRoom,
    agent_name: str,
    terminal: Messaging | None = None,
    records: ThreadStore | None = None,
    token: str | None = None,
) -> AgentRoom:
    """What an agent needs of the room it joined; `records` where threads are kept elsewhere. The `token` with
    which it joined is never stored.
    """
    from process_agent.agent.channels import AgentRoom

    return AgentRoom(
        room.messaging,
        records or _store(options, room, agent_name, token),
        datasets=room.datasets,
        queues=room.queues,
        files=room.files,
        toolkits=room.toolkits,
        terminal=terminal,
    )


def _say_back(online: bool) -> None:
    """The published client warns when the connection is lost and says nothing when it is there again."""
    if online:
        print("back in the room", file=sys.stderr, flush=True)


def recorded(
    options: JoinOptions,
    settings: Settings,
    target: JoinTarget,
    agent_name: str,
    backends: Sequence[Backend],
) -> ThreadStore | None:
    """The store of `--thread-storage codex`: the records of the only backend; None for another storage."""
    if options.thread_storage != "codex":
        return None
    from process_agent.core.records import Recording
    from process_agent.threads.recorded import RecordedThreadStore
    from process_agent.threads.register import Register, file_name

    (backend,) = backends
    if not isinstance(backend, Recording):
        raise TypeError(f"{backend.name} has no records")
    claims = read_claims(target.token)
    project = (claims.project_id if claims is not None else None) or ""
    name = file_name(project, target.room, agent_name)
    return RecordedThreadStore(
        agent_name,
        backend.name,
        backend.records,
        Register(settings.paths(options.data_dir).root / "threads" / name),
        clock=lambda: datetime.now(UTC),
        new_id=lambda: str(uuid.uuid4()),
    )


def _store(options: JoinOptions, room: JoinedRoom, name: str, token: str | None) -> ThreadStore:
    from process_agent.threads.paths import namespaces_told

    def clock() -> datetime:
        return datetime.now(UTC)

    def new_id() -> str:
        return str(uuid.uuid4())

    def agents_folders() -> list[tuple[str, ...]]:
        return namespaces_told(room.messaging.participants())

    if options.thread_storage == "none":
        from process_agent.threads.kept.cleaning import StoredThreads
        from process_agent.threads.memory import MemoryThreadStore

        stored = StoredThreads(room.datasets, agents_folders)
        return MemoryThreadStore(name, clock=clock, new_id=new_id).clean(room.files, stored.unused)
    from process_agent.io.this_process import is_gone, name_of_this_process
    from process_agent.threads.leases import Presence
    from process_agent.threads.store import DatasetThreadStore

    def others_here() -> bool:
        return any(p.name == name and p.role == "agent" for p in room.messaging.participants())

    redaction = options.thread_flags.redaction((*secret_values(), token))
    store = DatasetThreadStore(
        room.datasets,
        name,
        clock=clock,
        new_id=new_id,
        directory=options.thread_dir,
        presence=Presence(name_of_this_process(), is_gone, others_here),
        apart=options.isolation == "participant",
    )
    return store.redact(redaction).clean(room.files, agents_folders)


def summary(options: JoinOptions, room: JoinedRoom, ready: Ready, link: str) -> Lines:
    """The facts of the start, in order; the last one says how long it took."""
    lines = [("agent", ready.agent_name), ("room", room.name), ("link", link)]
    for name, backend in ready.backends:
        lines += [("backend", name), *backend.lines]
    lines += [
        ("channels", ", ".join(ready.channels)),
        *((file.kind, f"{file.path}, read for each turn") for file in options.rules.files),
        *((("tools", ready.tools),) if ready.tools else ()),
        *ready.mcp,
        *ready.shell,
        *options.outside.lines(),
        *([("workspace", "a Git work tree for each thread")] if options.workspace == "per-thread" else []),
        *websocket_lines(options),
        ("approvers", approvers_line(options, room)),
        ("thread folder", ready.thread_dir),
        *([("threads", "each participant's own")] if options.isolation == "participant" else []),
        ("ready", f"in {time.monotonic() - options.started:.2f} s; Ctrl-C stops the agent"),
    ]
    return lines


def approvers_line(options: JoinOptions, room: JoinedRoom) -> str:
    """Who may decide, and which of them cannot as things are."""
    from process_agent.channels.specs import ChatSpec, CommandSpec, WebsocketSpec

    notes = []
    for name in sorted(options.approvers.names):
        here = [p for p in room.messaging.participants() if p.name == name]
        if not here:
            notes.append(f"{name} is not here now")
        elif not any(options.approvers.allow(p) for p in here):
            notes.append(f"{name} is here as {here[0].role}, and never decides")
    users = options.channel_flags.users
    people = [
        s
        for s in options.channels
        if isinstance(s, ChatSpec | WebsocketSpec) or (isinstance(s, CommandSpec) and users)
    ]
    if not people:
        notes.append("nobody comes in through these channels")
    return "; ".join([str(options.approvers), *notes])


def agent_name(options: JoinOptions, settings: Settings) -> str:
    """The name in `MESHAGENT_TOKEN`, which a client cannot choose, else `--agent-name`.

    Raises `UsageError` when there is neither.
    """
    claims = None if options.local or settings.token is None else read_claims(settings.token)
    name = claims.name if claims is not None else options.agent_name
    if not name or not name.strip():
        raise UsageError("Under which name?", fix="Give one with --agent-name.")
    return name if claims is not None else usable_name(name)


def usable_name(name: str) -> str:
    """A name that somebody chose for an agent. Raises `UsageError`."""
    if not name.strip() or len(name) > MAX_NAME or "/" in name or not name.isprintable():
        raise UsageError(
            f"{name[:MAX_NAME]!r} cannot be an agent's name.",
            fix=f"It has 1 to {MAX_NAME} characters that can be printed, and no slash.",
        )
    return name


@asynccontextmanager
async def model_endpoint(options: JoinOptions, settings: Settings) -> AsyncIterator[AgentConfig]:
    """The agent's configuration, with the scripted model running behind it when it was asked for."""
    kind, known = options.providers.kind, load_providers(settings)
    if kind == "meshagent":
        address, token = await _project_proxy(options, settings)
        yield _config(options, settings, address, token, through_project(known, address, token))
        return
    if kind == "default":
        yield _config(options, settings, settings.openai_base_url, settings.openai_api_key, known)
        return
    from process_agent.scripted.script import LABEL
    from process_agent.scripted.server import ScriptedServer

    async with ScriptedServer() as model:
        providers = behind(known, model.base_url, model.api_key, LABEL)
        yield _config(options, settings, model.base_url, model.api_key, providers)


async def _project_proxy(options: JoinOptions, settings: Settings) -> tuple[str, str]:
    """Address and key of MeshAgent's proxy for models: the room's project pays, by the participant's token.

    Raises `UsageError` where there is no hosted room, `AuthError` for a token that may not use models.
    """
    from process_agent.rooms.credentials import LocalRoom

    place, wish = place_of(options, settings)
    if isinstance(place, LocalRoom):
        raise UsageError(
            "--provider meshagent needs a hosted room, whose project pays for the models.",
            fix="Set MESHAGENT_API_KEY or MESHAGENT_TOKEN, or leave --local away.",
        )
    target = await reach(place, settings, wish, data_dir=options.data_dir, start=False, port=options.port)
    claims = read_claims(target.token)
    if claims is not None and not claims.may_use_models:
        raise AuthError(
            "This participant token may not use models: it has no grant `llm`.",
            fix="Use a token that has it, or an OPENAI_API_KEY of your own.",
        )
    return f"{settings.api_url or target.base_url.replace('ws', 'http', 1)}/openai/v1", target.token


def _config(
    options: JoinOptions,
    settings: Settings,
    base_url: str | None,
    api_key: str | None,
    providers: tuple[ModelProvider, ...],
) -> AgentConfig:
    from process_agent.agent.assemble import AgentConfig
    from process_agent.cli.channel_flags import channel_options
    from process_agent.io.model_facts import known_models

    name = agent_name(options, settings)
    endpoints = tuple(
        ModelEndpoint(each, url, variable(key_variable(each))) for each, url in options.providers.endpoints
    )
    backend = BackendConfig(
        agent_name=name,
        working_dir=options.working_dir,
        data_dir=settings.paths(options.data_dir).root,
        provider=options.providers.kind,
        base_url=base_url,
        api_key=api_key,
        endpoints=endpoints,
        providers=(*providers, *(further(each.name, each.base_url, each.api_key) for each in endpoints)),
        sandbox=options.sandbox,
        approvals=options.approvals,
        network=options.network,
        effort=options.model_flags.effort,
        web_search=options.outside.web_search,
        image_model=options.outside.image_model,
        skill_dirs=options.model_flags.skill_dirs,
        home=options.model_flags.codex_home,
        facts=known_models(
            settings.paths(options.data_dir).root, options.model_flags.models_file or settings.models_file
        ),
        environment=environment_for_child(BACKEND_ENVIRONMENT),
        keeps_history=options.thread_storage == "codex",
    )
    return AgentConfig(
        agent_name=name,
        backend=backend,
        channels=options.channels,
        channel_options=channel_options(options, settings, name),
        single_thread=options.single_thread,
        workspace=options.workspace,
        worktrees=options.worktrees,
        isolation=options.isolation,
        retention=options.thread_flags.retention,
        backends=options.backends,
        models=options.models,
        approvers=options.approvers,
        approval_seconds=options.approval_seconds,
        tools=options.tool_flags.options(options.outside),
        copies=settings.cache_dir / "files",
        rules=options.rules,
    )


def stop_on_signals(stop: asyncio.Event, answering: asyncio.Event) -> None:
    """Have the first signal set `stop`, for an agent that answers to drain; the second cuts that short.

    Before `answering` there is nothing to drain, and the start may wait for half a minute: the first signal
    cancels it.
    """
    loop = asyncio.get_running_loop()

    def on_signal() -> None:
        if stop.is_set() or not answering.is_set():
            for task in asyncio.all_tasks(loop):
                task.cancel()
        stop.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, on_signal)
