"""All that `process doctor` looks at, side by side."""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

from process_agent.cli.checkup import probes, verdicts
from process_agent.cli.checkup.credentials import credentials
from process_agent.cli.checkup.facts import Asked
from process_agent.cli.providers import Providers, key_variable
from process_agent.config import Settings, environment_for_child, load_providers, variable
from process_agent.core.backend import BackendConfig, SandboxMode
from process_agent.core.diagnosis import Diagnosable, Finding, failure, fine, warning
from process_agent.core.providers import further
from process_agent.errors import AuthError, ProcessError

if TYPE_CHECKING:
    import httpx

    from process_agent.rooms.login import SavedLogin

PROBE_SECONDS: Final = 30.0
"""How long one probe may take; the slowest starts Codex, twice."""

_SOMEWHERE: Final = "http://127.0.0.1"
"""Stands for an address that is known only when an agent starts; nothing is sent there."""

AGENT: Final = "doctor"
"""Under this name a backend is asked."""


@dataclass(frozen=True, slots=True)
class Examination:
    """What to look at: the options of `process doctor`."""

    settings: Settings
    room: str | None
    local: bool
    backends: tuple[str, ...]
    data_dir: Path | None
    port: int | None
    working_dir: Path
    sandbox: SandboxMode
    project_id: str | None = None
    join: bool = False
    providers: Providers = field(default_factory=Providers)


async def examine(wish: Examination) -> list[Finding]:
    """All findings, in a fixed order. Probes that fail are findings themselves."""
    installed = probes.installation()
    paths = wish.settings.paths(wish.data_dir)
    places = [
        (paths.root, "rooms and records"),
        (wish.working_dir, "the working folder"),
        (wish.settings.cache_dir, "copies"),
    ]
    login, login_trouble = _saved_login(wish)
    asked: list[Asked] = []
    async with probes.client() as http:
        groups = await asyncio.gather(
            *(_within(name, partial(_backend, wish, name)) for name in wish.backends),
            _within("models", lambda: _models(wish, http, asked)),
            _within("room", lambda: _room(wish, http, login, asked)),
            _within("sandbox", lambda: _sandbox(wish)),
            _within("working folder", lambda: asyncio.to_thread(_folder, wish)),
            _within("data folder", lambda: asyncio.to_thread(_data, wish)),
            _within("disk", lambda: asyncio.to_thread(lambda: verdicts.disks(probes.disks(places)))),
        )
    own = login_trouble or credentials(wish.settings, login, local=wish.local, now=time.time())
    head = [verdicts.python(installed), verdicts.package(installed, _extras(wish, login)), *own]
    return [*head, *(finding for group in groups for finding in group), verdicts.clock(asked)]


async def _within(subject: str, probe: Callable[[], Awaitable[Sequence[Finding]]]) -> Sequence[Finding]:
    try:
        async with asyncio.timeout(PROBE_SECONDS):
            return await probe()
    except TimeoutError:
        text = f"not known: looking took longer than {PROBE_SECONDS:g} s"
        return [failure(subject, text, "Try again when this machine has less to do.")]
    except ProcessError as error:
        return [failure(subject, error.message, error.fix or "See the message.")]


def _is_hosted(wish: Examination, login: SavedLogin | None) -> bool:
    settings = wish.settings
    return not wish.local and any((settings.token, settings.api_key, settings.secret, login))


def _extras(wish: Examination, login: SavedLogin | None) -> list[str]:
    """The extras of the package without which this does not work."""
    local = [] if _is_hosted(wish, login) else ["local"]
    return [*local, *(["codex"] if "codex" in wish.backends else [])]


def _saved_login(wish: Examination) -> tuple[SavedLogin | None, list[Finding]]:
    from process_agent.rooms.login import login_file, read_login

    if wish.local:
        return None, []
    try:
        return read_login(login_file(wish.settings.home), wish.settings.api_url), []
    except AuthError as error:
        return None, [failure("credentials", error.message, error.fix or "Log in again.")]


def _config(wish: Examination) -> BackendConfig:
    from process_agent.cli.joining import BACKEND_ENVIRONMENT
    from process_agent.rooms.credentials import DEFAULT_API_URL

    settings = wish.settings
    proxy = f"{settings.api_url or DEFAULT_API_URL}/openai/v1"
    elsewhere = {"scripted": _SOMEWHERE, "meshagent": proxy}
    return BackendConfig(
        agent_name=AGENT,
        working_dir=wish.working_dir,
        data_dir=settings.paths(wish.data_dir).root,
        provider=wish.providers.kind,
        base_url=elsewhere.get(wish.providers.kind, settings.openai_base_url),
        api_key=settings.openai_api_key if wish.providers.kind == "default" else None,
        sandbox=wish.sandbox,
        environment=environment_for_child(BACKEND_ENVIRONMENT),
    )


async def _backend(wish: Examination, name: str) -> Sequence[Finding]:
    from process_agent.agent import registry

    backend = registry.create(name, _config(wish))
    return await backend.diagnose() if isinstance(backend, Diagnosable) else []


async def _models(wish: Examination, http: httpx.AsyncClient, asked: list[Asked]) -> Sequence[Finding]:
    known = [
        replace(further(name, url, variable(key_variable(name))), key_variable=key_variable(name))
        for name, url in wish.providers.endpoints
    ]
    paid = [] if wish.providers.kind == "default" else _paid(wish)
    if not paid:
        known += [each for each in load_providers(wish.settings) if each.key is not None or not each.listed]
    found = await asyncio.gather(*(probes.endpoint(http, provider) for provider in known))
    asked += [each.asked for each in found]
    return [*paid, *(verdicts.endpoints(found) if found or not paid else ())]


def _paid(wish: Examination) -> list[Finding]:
    """Whether `--provider` alone is enough for models."""
    from process_agent.rooms.tokens import read_claims

    if wish.providers.kind == "scripted":
        return [fine("models", "the scripted model needs no account")]
    settings = wish.settings
    if not _is_hosted(wish, _saved_login(wish)[0]):
        fix = "Log in with `process login`, set MESHAGENT_TOKEN or MESHAGENT_API_KEY, or take another."
        return [failure("models", "--provider meshagent needs a hosted room, whose project pays", fix)]
    claims = read_claims(settings.token) if settings.token else None
    if claims is not None and not claims.may_use_models:
        fix = "Use a token that has it, or another provider."
        return [failure("models", "MESHAGENT_TOKEN may not use models: it has no grant `llm`", fix)]
    return [fine("models", "the room's project pays; its proxy is asked by the first turn")]


async def _room(
    wish: Examination, http: httpx.AsyncClient, login: SavedLogin | None, asked: list[Asked]
) -> Sequence[Finding]:
    settings = wish.settings
    found: list[Finding] = []
    if not _is_hosted(wish, login):
        paths = settings.paths(wish.data_dir)
        found += verdicts.local_room(await asyncio.to_thread(probes.local_server, paths, wish.port))
    else:
        found += await _hosted(wish, http, login, asked)
    return [*found, *(await _joined(wish) if wish.join else ())]


async def _hosted(
    wish: Examination, http: httpx.AsyncClient, login: SavedLogin | None, asked: list[Asked]
) -> list[Finding]:
    from process_agent.rooms.credentials import DEFAULT_API_URL

    settings = wish.settings
    base = settings.api_url or (login.api_url if login is not None else None) or DEFAULT_API_URL
    base = base.replace("ws", "http", 1) if base.startswith("ws") else base
    api = await probes.ask(http, f"{base}/config")
    asked.append(api)
    found = [verdicts.hosted(api)]
    project, name, bearer = _who(wish, login)
    if api.status is not None and project and name and bearer:
        from urllib.parse import quote

        url = f"{base}/accounts/projects/{quote(project, safe='')}/rooms/{quote(name, safe='')}"
        found.append(verdicts.room(name, await probes.ask(http, url, {"authorization": f"Bearer {bearer}"})))
    elif name is None:
        found.append(fine("room", "none named; --room NAME looks at one"))
    return found


def _who(wish: Examination, login: SavedLogin | None) -> tuple[str | None, str | None, str | None]:
    """Project, room and bearer of a question about the room; what is not known is None."""
    from process_agent.rooms.credentials import parse_api_key
    from process_agent.rooms.tokens import read_claims

    settings = wish.settings
    claims = read_claims(settings.token) if settings.token else None
    project = wish.project_id or settings.project_id
    name = wish.room or settings.room or (claims.room if claims is not None else None)
    if settings.token:
        return project or (claims.project_id if claims is not None else None), name, settings.token
    if settings.api_key:
        key = parse_api_key(settings.api_key, "MESHAGENT_API_KEY")
        return project or key.project_id, name, settings.api_key
    if login is None or settings.secret:
        return project, name, None
    project = project or login.project_id
    return project, name, login.access_token or login.api_keys.get(project or "")


async def _joined(wish: Examination) -> list[Finding]:
    """Join for a moment, as the person."""
    from process_agent.cli.local import join_target
    from process_agent.cli.who import login_name
    from process_agent.rooms.credentials import JoinWish
    from process_agent.rooms.join import join_room

    who = JoinWish(wish.room, login_name(), "user", wish.local, wish.project_id)
    began = time.monotonic()
    try:
        target = await join_target(wish.settings, who, data_dir=wish.data_dir)
        async with join_room(target) as room:
            return [fine("join", f"joined {room.name} in {time.monotonic() - began:.2f} s, and left")]
    except ProcessError as error:
        return [failure("join", error.message, error.fix or "See the message.")]


async def _sandbox(wish: Examination) -> Sequence[Finding]:
    """Run a program in the sandbox, in an empty folder: an agent may be at work in the working folder."""
    from process_agent.io.command_sandbox import CommandSandbox

    if wish.sandbox == "full-access":
        fix = "Leave --sandbox full-access away where the machine itself is not the sandbox."
        return [warning("sandbox", "none: commands have all your rights", fix)]
    with tempfile.TemporaryDirectory(prefix="process-doctor-") as folder:
        work = Path(folder) / "work"
        work.mkdir()
        config = replace(_config(wish), working_dir=work, data_dir=Path(folder) / "data", approvals="deny")
        sandbox = CommandSandbox(config)
        try:
            await sandbox.start()
            line = sandbox.line
        finally:
            await sandbox.close()
    return [fine("sandbox", f"{line}: works here")]


def _folder(wish: Examination) -> Sequence[Finding]:
    """What `process join` would say about the working folder."""
    from process_agent.io.kept_from_commands import check_folder, private_places
    from process_agent.io.private_places import codex_homes, resolved

    config = _config(wish)
    home = resolved(codex_homes(config.environment)[-1])
    notes = check_folder(config, private_places(config, home, own_home=False))
    if not notes:
        return [fine("working folder", str(wish.working_dir))]
    fix = "Choose a folder of a project with --working-dir."
    return [warning("working folder", f"{wish.working_dir}: {note}", fix) for note in notes]


def _data(wish: Examination) -> Sequence[Finding]:
    return verdicts.data_folder(probes.data_folder(wish.settings.paths(wish.data_dir)))
