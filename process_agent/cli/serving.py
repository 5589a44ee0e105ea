"""What `process service serve` does once its options are checked: listen, join the rooms of calls, drain."""

from __future__ import annotations

import asyncio
import contextlib
import re
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from process_agent.cli.attending import attend, preparing
from process_agent.cli.joining import stop_on_signals
from process_agent.cli.local import usable_folder
from process_agent.cli.service_serve import DEFAULT_HOST, DEFAULT_PORT
from process_agent.cli.summary import as_json, as_text
from process_agent.errors import ProcessError, UsageError
from process_agent.io.tasks import Tasks
from process_agent.services.call_server import CallPlace, CallServer
from process_agent.services.calls import STOPPING, CallRules, Verdict, judge
from process_agent.wire.room_calls import MIN_SECRET, Call

if TYPE_CHECKING:
    from process_agent.agent.assemble import Ready
    from process_agent.cli.checked import JoinOptions
    from process_agent.config import Settings, WebhookSettings

STOP_SECONDS: Final = 13.0
"""How long the agents of all rooms may drain together; what is left then is cut."""

_PATH = re.compile(r"/[A-Za-z0-9._~/-]{1,200}")
_TAKEN_PATHS = ("/", "/healthz")


def listening_place(host: str | None, port: int | None, path: str, settings: WebhookSettings) -> CallPlace:
    """Where to listen. Raises `UsageError`, also when there is no secret to tell callers by."""
    if settings.secret is None:
        raise UsageError(
            "Anybody could call the agent: there is no secret that calls are signed with.",
            fix="Set MESHAGENT_WEBHOOK_SECRET, here and where the calls come from.",
        )
    if len(settings.secret.encode()) < MIN_SECRET:
        raise UsageError(
            f"MESHAGENT_WEBHOOK_SECRET has fewer than {MIN_SECRET} bytes, and can be guessed.",
            fix="Make one with `openssl rand -hex 32`.",
        )
    if not _PATH.fullmatch(path) or path in _TAKEN_PATHS:
        raise UsageError(f"--path {path[:100]!r} cannot be used.", fix="Write it like /agent.")
    found = _port(settings.port) if port is None else port
    return CallPlace(host or settings.host or DEFAULT_HOST, found, path, settings.secret)


def _port(text: str | None) -> int:
    if text is None:
        return DEFAULT_PORT
    if not (text.isascii() and text.isdigit() and int(text[:6]) < 65536):
        raise UsageError("MESHAGENT_PORT is no port.", fix="Set it to a number, or give --port.")
    return int(text)


def rules_of(options: JoinOptions, settings: Settings, max_rooms: int, *, local: bool) -> CallRules:
    """Which calls are taken. With `local` the server of the local room is started if it does not run."""
    from process_agent.rooms.credentials import DEFAULT_API_URL

    paths = settings.paths(options.data_dir)
    usable_folder(paths)
    if local:
        from process_agent.room_server.lifecycle import ensure_running

        base = ensure_running(paths, None).url
    else:
        base = settings.room_url or settings.api_url or DEFAULT_API_URL
    return CallRules(options.agent_name or "", base.rstrip("/"), max_rooms)


async def serve_calls(options: JoinOptions, settings: Settings, place: CallPlace, rules: CallRules) -> None:
    """Listen until SIGTERM or Ctrl-C, then drain the agents of all rooms.

    Raises `RoomError` when the port is taken, and what backends raise that do not start.
    """
    stop, answering = asyncio.Event(), asyncio.Event()
    stop_on_signals(stop, answering)
    await _check(options, settings)
    serving = Serving(options, settings, rules, stop)
    server = CallServer(place, serving.answer)
    try:
        await server.start()
        _say_where(options, rules, place, server.port)
        answering.set()
        await stop.wait()
        # Callers are told that it stops, and not refused a connection, until it has.
        await serving.drain()
    finally:
        await server.stop()
        await serving.close()


async def _check(options: JoinOptions, settings: Settings) -> None:
    """Start what runs the turns, and end it: raises what would end each call, like a missing login."""
    if options.providers.kind != "meshagent":  # its endpoint is the called room's
        async with preparing(options, replace(settings, token=None)):
            pass


class Serving:
    """The rooms where the agent is, or is about to be."""

    def __init__(
        self, options: JoinOptions, settings: Settings, rules: CallRules, stop: asyncio.Event
    ) -> None:
        self._options = options
        self._settings = settings
        self._rules = rules
        self._stop = stop
        self._taken: set[str] = set()
        self._tasks = Tasks("rooms of calls")

    def answer(self, call: Call) -> Verdict:
        """Decide on a call that is signed, and begin to join its room if it is taken."""
        if self._stop.is_set():
            return STOPPING
        verdict = judge(call, self._rules, self._taken, time.time())
        if verdict.joins:
            self._taken.add(call.room)
            self._tasks.start(self._in_room(call), f"room {call.room}")
        elif verdict.status != 200:
            _say(f"a call into {call.room!r} is refused: {verdict.text}")
        return verdict

    async def drain(self) -> None:
        """Wait for the agents of all rooms, which `stop` ends, for so long."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(STOP_SECONDS):
                await self._tasks.wait()

    async def close(self) -> None:
        """Cut what is left. Idempotent."""
        await self._tasks.close()

    async def _in_room(self, call: Call) -> None:
        name, room = self._rules.agent_name, call.room
        try:
            await self._attend(call)
            _say(f"{name} has left {room}")
        except ProcessError as error:
            _say(f"{name} is not in {room}: {error}")
        finally:
            self._taken.discard(room)

    async def _attend(self, call: Call) -> None:
        from process_agent.rooms.join import JoinTarget, join_room

        options = replace(self._options, room=call.room, started=time.monotonic())
        settings = replace(self._settings, token=call.token, room_url=self._rules.base_url)
        target = JoinTarget(call.room, self._rules.base_url, call.token)

        def on_ready(ready: Ready) -> None:
            took = time.monotonic() - options.started
            _say(f"{ready.agent_name} is in {call.room}, {took:.2f} s after the call")

        async with preparing(options, settings) as prepared:
            if not self._stop.is_set():
                async with join_room(target, join_seconds=options.join_seconds) as room:
                    await attend(prepared, target, room, on_ready, self._stop)


def _say_where(options: JoinOptions, rules: CallRules, place: CallPlace, port: int) -> None:
    host = f"[{place.host}]" if ":" in place.host else place.host
    lines = [
        ("agent", rules.agent_name),
        ("calls", f"http://{host}:{port}{place.path}"),
        ("rooms", f"below {rules.base_url}, {rules.max_rooms} at a time"),
        ("ready", f"in {time.monotonic() - options.started:.2f} s; Ctrl-C stops the agent"),
    ]
    print(as_json(lines) if options.json else as_text(lines), flush=True)


def _say(text: str) -> None:
    """One line; callers and rooms choose a part of it."""
    from process_agent.viewer.terminal.plain import printable

    print(printable(text).replace("\n", " "), flush=True)
