"""The web server that takes calls into rooms: `POST PATH`, and `GET /` and `/healthz` for probes."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from process_agent.errors import AuthError, WireError
from process_agent.io.web_server import BackgroundServer, HastyHttp, quiet_config
from process_agent.services.calls import Verdict
from process_agent.wire.room_calls import (
    MAX_BYTES,
    PAYLOAD,
    SIGNATURE,
    Call,
    check_signature,
    read_call,
)

REQUEST_SECONDS: Final = 10.0
"""How long a caller has to send its request, head and body; then the connection is cut."""
STOP_SECONDS: Final = 2
"""How long answers under way may take when the server stops."""
MAX_CONNECTIONS: Final = 64
"""Open at once. For a further one, that is cut which has not said what it wants for the longest time."""
MAX_HEAD: Final = 24 * 1024
"""Bytes of a request before its body. A payload that comes there has to fit in."""


@dataclass(frozen=True, slots=True)
class CallPlace:
    """Where calls are listened for; port 0 is a free one."""

    host: str
    port: int
    path: str
    secret: str = field(repr=False)


class CallServer(BackgroundServer):
    """Calls from `start` to `stop`. `answer` does not wait."""

    def __init__(
        self, place: CallPlace, answer: Callable[[Call], Verdict], clock: Callable[[], float] = time.time
    ) -> None:
        """Raises `RoomError` when the port is taken and `UsageError` for an address that is not ours."""
        self._place = place
        self._answer = answer
        self._clock = clock
        routes = [
            Route("/", _well),
            Route("/healthz", _well),
            Route(place.path, self._called, methods=["POST"]),
        ]
        app = Starlette(routes=routes)
        app.router.redirect_slashes = False  # it would send callers to the Host that they named
        config = quiet_config(
            app,
            http=_Http,
            ws="none",
            h11_max_incomplete_event_size=MAX_HEAD,
            timeout_graceful_shutdown=STOP_SECONDS,
        )
        fix = "Choose others with --host and --port."
        super().__init__("call server", (place.host, place.port), fix, config)

    async def _called(self, request: Request) -> Response:
        try:
            payload = await _payload(request)
            check_signature(payload, request.headers.get(SIGNATURE), self._place.secret, self._clock())
            call = read_call(payload)
        except ClientDisconnect:
            return _said(408, "The call did not arrive.")
        except AuthError as error:
            return _said(401, error.message)
        except _TooLargeError:
            return _said(413, f"A call has at most {MAX_BYTES} bytes.")
        except WireError as error:
            return _said(400, error.message)
        if call is None:
            return _said(200, "Nothing is done about this event.")
        verdict = self._answer(call)
        return _said(verdict.status, verdict.text)


class _Http(HastyHttp):
    request_seconds = REQUEST_SECONDS
    max_connections = MAX_CONNECTIONS


class _TooLargeError(Exception):
    pass


async def _payload(request: Request) -> bytes:
    if (said := request.headers.get(PAYLOAD)) is not None:
        return said.encode("latin-1")
    body = bytearray()
    async for piece in request.stream():
        body += piece
        if len(body) > MAX_BYTES:
            raise _TooLargeError
    return bytes(body)


async def _well(_request: Request) -> Response:
    return JSONResponse({"ok": True})


def _said(status: int, text: str) -> Response:
    return JSONResponse({"ok": status == 200, "message": text}, status)
