"""The room server: a starlette application and the uvicorn server that runs it."""

from __future__ import annotations

import contextlib
import logging
import secrets
from collections.abc import MutableMapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.datastructures import Headers, MutableHeaders
from starlette.middleware import Middleware
from starlette.requests import HTTPConnection
from starlette.routing import BaseRoute, Route, WebSocketRoute
from starlette.types import ASGIApp, Receive, Scope, Send

from process_agent.config import DataPaths
from process_agent.errors import AuthError, WireError
from process_agent.io.tasks import Tasks
from process_agent.io.web_server import QuietServer, bind, quiet_config
from process_agent.room_server import access
from process_agent.room_server.endpoints import Endpoints, refused
from process_agent.room_server.hub import Hub
from process_agent.room_server.services.endpoints import ServiceEndpoints, service_routes
from process_agent.room_server.services.services import LocalServices
from process_agent.room_server.toolkits import RoomToolkits
from process_agent.room_server.websocket import RoomLink
from process_agent.wire.web_names import reachable

logger = logging.getLogger(__name__)

MAX_FRAME_BYTES = 4 * 1024 * 1024
"""Longest websocket message; a packet. Published clients send 1 KiB."""

MAX_CONNECTIONS = 4096
"""Most connections of one server; more get 503 and come back."""

PING_SECONDS = 20.0
"""How often, and how long, a client is asked whether it is there."""

_SECURITY_HEADERS = {
    "content-security-policy": (
        "default-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
}


@dataclass(frozen=True, slots=True)
class ServerConfig:
    """What a server needs to know. `port` 0 takes a free one; `key` signs and checks tokens."""

    paths: DataPaths
    key: str
    host: str = "127.0.0.1"
    port: int = 0
    instance: str = field(default_factory=lambda: secrets.token_hex(16))

    @property
    def url(self) -> str:
        """Where the server answers, without a path."""
        return f"http://{reachable(self.host)}:{self.port}"


def create_app(
    config: ServerConfig, page: Sequence[BaseRoute] = (), services: LocalServices | None = None
) -> Starlette:
    """The application; `page` are the routes of Studio. Its lifespan closes the rooms.

    Services run as soon as their owner starts them.
    """
    services = services or LocalServices(config.paths)
    toolkits = RoomToolkits(config.paths.rooms, lambda: config.url, services)
    hub = Hub(toolkits.open)
    services.watch(hub.has_agent)
    endpoints = Endpoints(hub, toolkits.load, config.key, config.port, config.instance)

    @contextlib.asynccontextmanager
    async def lifespan(_app: Starlette) -> Any:
        tasks = Tasks("room server")
        tasks.start(toolkits.load(), "load toolkits")
        try:
            yield
        finally:
            await tasks.close()
            await hub.close()

    project = "/accounts/projects/{project}"
    return Starlette(
        routes=[
            Route("/healthz", endpoints.healthz),
            Route("/config", endpoints.config),
            Route(project + "/rooms/{room}/connect", endpoints.connect, methods=["POST"]),
            Route(project + "/participant-tokens", endpoints.participant_tokens, methods=["POST"]),
            Route("/codes", endpoints.issue_code, methods=["POST"]),
            Route("/session", endpoints.open_session, methods=["POST"]),
            Route("/session", endpoints.read_session, methods=["GET"]),
            WebSocketRoute("/rooms/{room}", endpoints.room),
            Route("/rooms/{room}/files/{path:path}", endpoints.download),
            Route("/rooms/{room}/images/{id:path}", endpoints.picture),
            Route("/rooms/{room}/usage", endpoints.usage),
            Route("/rooms/{room}/discarded", endpoints.discard, methods=["POST"]),
            *service_routes(ServiceEndpoints(services, config.key)),
            *page,
        ],
        middleware=[Middleware(_Door, bound_to=config.host)],
        exception_handlers={AuthError: refused, WireError: refused},
        lifespan=lifespan,
    )


class _Door:
    """Checks the Host of every request and adds the security headers to every HTTP answer."""

    def __init__(self, app: ASGIApp, bound_to: str) -> None:
        self._app = app
        self._bound_to = bound_to

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        try:
            access.check_host(Headers(scope=scope).get("host"), self._bound_to)
        except AuthError as error:
            await _refuse(error, scope, receive, send)
            return

        async def send_with_headers(message: MutableMapping[str, Any]) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _SECURITY_HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        await self._app(scope, receive, send_with_headers)


async def _refuse(error: AuthError, scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.close", "code": 1008})
    else:
        await refused(HTTPConnection(scope), error)(scope, receive, send)


class RoomServer:
    """One running server. It owns its socket and ends with `stop`."""

    def __init__(self, config: ServerConfig, page: Sequence[BaseRoute] = ()) -> None:
        self._socket = bind(config.host, config.port, "Choose another with --host and --port.")
        self.port: int = self._socket.getsockname()[1]
        self.config = ServerConfig(config.paths, config.key, config.host, self.port, config.instance)
        self.services = LocalServices(config.paths)
        self._server = QuietServer(_uvicorn_config(create_app(self.config, page, self.services)))
        self._tasks = Tasks("room server")

    @property
    def url(self) -> str:
        """Where the server answers, without a path."""
        return self.config.url

    async def start(self) -> None:
        """Serve in the background; returns when the server answers."""
        self._tasks.start(self._server.serve(sockets=[self._socket]), "serve")
        await self._server.ready.wait()

    async def stop(self) -> None:
        """End the services, drop the connections without close frames, close the rooms, close the socket."""
        await self.services.close()
        self._server.leave()
        await self._tasks.wait()
        self._socket.close()


def _uvicorn_config(app: Starlette) -> uvicorn.Config:
    return quiet_config(
        app,
        ws=RoomLink,
        lifespan="on",
        ws_max_size=MAX_FRAME_BYTES,
        ws_ping_interval=PING_SECONDS,
        ws_ping_timeout=PING_SECONDS,
        ws_per_message_deflate=False,
        limit_concurrency=MAX_CONNECTIONS,
        timeout_graceful_shutdown=5,
    )
