"""The web server of a websocket channel: `GET /messages` and `GET /healthz`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from starlette.applications import Starlette
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from process_agent.errors import AuthError
from process_agent.io.web_server import BackgroundServer, quiet_config
from process_agent.wire.msgpack_frames import MAX_BYTES
from process_agent.wire.web_names import check_host

PING_SECONDS = 30.0
"""How often, and how long, a client is asked whether it is there."""

STOP_SECONDS = 2
"""How long clients have to answer the close frame when the server stops."""

LINK = "process.link"
"""Key of the ASGI extension that holds the `Link` of a websocket."""


class Link(WebSocketsSansIOProtocol):
    """One client's connection: uvicorn's, which can also be dropped."""

    @property
    def takes_more(self) -> bool:
        """Whether what is sent now leaves without waiting for the client to read."""
        return self.writable.is_set()

    def drop(self) -> None:
        """End the connection at once, also when the client reads nothing."""
        self.transport.abort()

    def handle_connect(self, event: Any) -> None:
        """Make the link known to the application."""
        super().handle_connect(event)
        if not self.close_sent:
            self.scope["extensions"][LINK] = {"link": self}

    async def send(self, message: Any) -> None:
        """See uvicorn, which takes a refusal that was sent for a handshake that was forgotten."""
        await super().send(message)
        if self.initial_response is not None and self.close_sent:
            self.handshake_complete = True

    def keepalive_timeout(self) -> None:
        """A ping stayed unanswered: a close frame would not arrive either."""
        self.pong_timer = None
        self.drop()


class WebsocketServer(BackgroundServer):
    """Websockets from `start` to `stop`."""

    def __init__(self, host: str, port: int, serve: Callable[[WebSocket], Awaitable[None]]) -> None:
        """Raises `RoomError` when the port is taken and `UsageError` for an address that is not ours."""

        async def healthz(request: Request) -> Response:
            try:
                check_host(Headers(scope=request.scope).get("host"), host)
            except AuthError as error:
                return PlainTextResponse(error.message, 403)
            return PlainTextResponse("ok\n")

        app = Starlette(routes=[Route("/healthz", healthz), WebSocketRoute("/messages", serve)])
        config = quiet_config(
            app,
            ws=Link,
            ws_max_size=MAX_BYTES,
            ws_ping_interval=PING_SECONDS,
            ws_ping_timeout=PING_SECONDS,
            ws_per_message_deflate=True,
            timeout_graceful_shutdown=STOP_SECONDS,
        )
        fix = "Write another one: websocket:PORT or websocket://HOST:PORT."
        super().__init__("websocket server", (host, port), fix, config)
