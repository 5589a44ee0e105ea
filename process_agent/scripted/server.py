"""The scripted model as an HTTP server on loopback, for one process and those it gives the key to."""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import logging
import secrets
import socket
import time
from collections import OrderedDict, deque
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Protocol, Self

import msgspec
import uvicorn
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from process_agent.errors import WireError
from process_agent.scripted.actions import Action, HttpFault, StreamFault
from process_agent.scripted.answers import Answer, AnswerStream, Cut, Noise, Pause, http_fault, seed_of
from process_agent.scripted.script import LABEL, MODEL, answer
from process_agent.wire import chat, messages, responses
from process_agent.wire.chat_stream import ChatStream
from process_agent.wire.messages_stream import MessagesStream
from process_agent.wire.responses import ResponsesRequest
from process_agent.wire.responses_stream import ResponseStream

logger = logging.getLogger(__name__)

MAX_BODY_BYTES = 64 * 1024 * 1024
"""Largest request body."""

CHUNK_BYTES = 32 * 1024
"""Events that need no pause between them are sent together, up to this size."""

KEPT_REQUESTS = 64
"""How many requests are kept for inspection."""

_KEPT_ATTEMPTS = 1_024
_SECRET = ("authorization", "x-api-key")


@dataclass(slots=True)
class RecordedRequest:
    """One request as it came, without its key. `body` is parsed JSON, or None when it is none."""

    path: str
    headers: dict[str, str]
    body: Any
    answered: bool = False
    """True once the whole answer was sent; False for good when the client left before."""
    over: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when nothing more is sent, for whatever reason."""
    answer: AnswerStream | None = None
    """What was answered; its `body` has the usage once an end was written."""


class _Refuse(Protocol):
    def __call__(self, status: int, code: str, message: str, retry_after: int | None = None) -> Response: ...


class _MakeStream(Protocol):
    def __call__(self, *, response_id: str, model: str, created_at: int) -> AnswerStream: ...


@dataclass(frozen=True, slots=True)
class _Dialect:
    parse: Callable[[bytes], ResponsesRequest]
    stream: _MakeStream
    refuse: _Refuse


class ScriptedServer:
    """`async with ScriptedServer() as server:` serves until the block ends.

    It runs in the event loop it is started in, touches no signal handlers, and ends what it streams when it
    closes. One use only.
    """

    def __init__(self, *, kept_requests: int = KEPT_REQUESTS) -> None:
        self.api_key = f"scripted-{secrets.token_urlsafe(24)}"
        self.requests: deque[RecordedRequest] = deque(maxlen=kept_requests)
        self.total_requests = 0
        self.context: int | None = None
        """Tokens that fit, at four bytes each; a longer request is refused as providers do."""
        self._arrived = asyncio.Condition()
        self._attempts: OrderedDict[str, int] = OrderedDict()
        self._address: tuple[str, int] | None = None
        routes = [
            *(Route(path, self._answer, methods=["POST"]) for path in _DIALECTS),
            Route("/v1/models", self._models, methods=["GET"]),
        ]
        self._server = uvicorn.Server(
            uvicorn.Config(
                Starlette(routes=routes),
                http=_Protocol,
                ws="none",
                lifespan="off",
                log_config=None,
                access_log=False,
                server_header=False,
                date_header=False,
            )
        )

    @property
    def base_url(self) -> str:
        """The address to give to a client, `http://127.0.0.1:PORT/v1`."""
        if self._address is None:
            raise RuntimeError("the scripted model has not been started")
        return f"http://{self._address[0]}:{self._address[1]}/v1"

    async def start(self) -> None:
        """Listen on a free loopback port."""
        # asyncio turns Nagle's delay (40 ms an answer) off only for sockets that name their protocol.
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        listener.bind(("127.0.0.1", 0))
        self._address = listener.getsockname()
        config = self._server.config
        config.load()
        self._server.lifespan = config.lifespan_class(config)
        await self._server.startup(sockets=[listener])

    async def close(self) -> None:
        """Cut what is being streamed and stop listening. Idempotent."""
        if not self._server.started:
            return
        self._server.started = False
        for connection in list(self._server.server_state.connections):
            connection.transport.abort()
        await self._server.shutdown()

    async def wait_for_requests(self, count: int) -> RecordedRequest:
        """Wait until `count` requests for answers have arrived in all; returns the latest."""
        async with self._arrived:
            await self._arrived.wait_for(lambda: self.total_requests >= count)
            return self.requests[-1]

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    # --- Routes --------------------------------------------------------------------------------

    async def _models(self, request: Request) -> Response:
        if not self._is_allowed(request):
            return _refuse(401, "invalid_api_key", f"The {LABEL} needs the key it was started with.")
        model = {"id": MODEL, "object": "model", "created": 0, "owned_by": LABEL}
        return JSONResponse({"object": "list", "data": [model]})

    async def _answer(self, request: Request) -> Response:
        dialect = _DIALECTS[request.url.path]
        if not self._is_allowed(request):
            return dialect.refuse(401, "invalid_api_key", f"The {LABEL} needs the key it was started with.")
        try:
            body = await _read_body(request)
        except ClientDisconnect:
            return Response(status_code=400)
        if body is None:
            text = f"The request is larger than {MAX_BODY_BYTES} bytes."
            return dialect.refuse(413, "request_too_large", text)
        record = await self._record(request, body)
        try:
            asked = dialect.parse(body)
        except WireError as error:
            record.over.set()
            return dialect.refuse(400, "invalid_request_error", error.message)
        if self.context is not None and len(body) > 4 * self.context:
            record.over.set()
            text = f"This model's maximum context length is {self.context} tokens."
            return dialect.refuse(400, "context_length_exceeded", text)
        seed = seed_of(asked)
        actions = self._failing(answer(asked), seed)
        fault = http_fault(actions)
        if fault is not None:
            record.over.set()
            return dialect.refuse(fault.status, fault.code, fault.message, fault.retry_after)
        stream = dialect.stream(response_id=f"resp_{seed}", model=asked.model, created_at=int(time.time()))
        record.answer = stream
        return _Answering(
            self._stream(asked.stream, Answer(asked, actions, stream, seed=seed), request),
            record,
            media_type="text/event-stream" if asked.stream else "application/json",
        )

    def _is_allowed(self, request: Request) -> bool:
        key = request.headers.get("x-api-key")
        given = request.headers.get("authorization", "") if key is None else f"Bearer {key}"
        return hmac.compare_digest(given.encode(), f"Bearer {self.api_key}".encode())

    async def _record(self, request: Request, body: bytes) -> RecordedRequest:
        headers = {name: value for name, value in request.headers.items() if name not in _SECRET}
        parsed = None
        with contextlib.suppress(msgspec.DecodeError, RecursionError):
            parsed = msgspec.json.decode(body)
        record = RecordedRequest(request.url.path, headers, parsed)
        async with self._arrived:
            self.requests.append(record)
            self.total_requests += 1
            self._arrived.notify_all()
        return record

    def _failing(self, actions: list[Action], seed: str) -> list[Action]:
        """The actions without a fault that happens to the first requests only, when those are over."""
        for position, action in enumerate(actions):
            if isinstance(action, HttpFault | StreamFault) and action.times is not None:
                over = self._attempt(seed) > action.times
                return actions[:position] + actions[position + 1 :] if over else actions
        return actions

    def _attempt(self, seed: str) -> int:
        """How often this request has been asked, this time included; the oldest are forgotten."""
        attempt = self._attempts.pop(seed, 0) + 1
        self._attempts[seed] = attempt
        if len(self._attempts) > _KEPT_ATTEMPTS:
            self._attempts.popitem(last=False)
        return attempt

    async def _stream(self, streamed: bool, answering: Answer, request: Request) -> AsyncIterator[bytes]:
        ready = bytearray()
        for part in answering.parts():
            match part:
                case Pause():
                    if streamed and ready:
                        yield bytes(ready)
                        ready.clear()
                    await _pause(part.ms)
                case Cut():
                    if streamed and ready:
                        yield bytes(ready)
                    self._cut(request)
                    await _pause(None)
                case Noise():
                    ready += part.data
                case event if streamed:
                    ready += answering.stream.encode(event)
                    if len(ready) >= CHUNK_BYTES:
                        yield bytes(ready)
                        ready.clear()
                case _:
                    pass  # what a client that does not stream gets is the body below
        yield bytes(ready) if streamed else msgspec.json.encode(answering.stream.body)

    def _cut(self, request: Request) -> None:
        for connection in self._server.server_state.connections:
            if isinstance(connection, _Protocol) and connection.client == request.scope["client"]:
                # close and not abort: what was said before the cut must still arrive
                connection.transport.close()


class _Protocol(H11Protocol):
    """HTTP/1.1 without an access log, whatever handlers the program has on its loggers."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self.access_log = False


class _Answering(StreamingResponse):
    """A streamed answer that notes how it ended. Generation stops when the client leaves."""

    def __init__(self, content: AsyncIterator[bytes], record: RecordedRequest, *, media_type: str) -> None:
        super().__init__(content, headers={"cache-control": "no-store"}, media_type=media_type)
        self._record = record

    async def stream_response(self, send: Send) -> None:
        await super().stream_response(send)
        self._record.answered = True

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._record.over.set()


async def _pause(ms: float | None) -> None:
    if ms is None:
        await asyncio.Event().wait()
    else:
        await asyncio.sleep(ms / 1000)


async def _read_body(request: Request) -> bytes | None:
    """The request body; None when it is too large."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BODY_BYTES:
            return None
    return bytes(body)


def _refuse(status: int, code: str, message: str, retry_after: int | None = None) -> Response:
    headers = {} if retry_after is None else {"retry-after": str(retry_after)}
    error = {"message": message, "type": code, "code": code, "param": None}
    return JSONResponse({"error": error}, status, headers)


def _refuse_message(status: int, code: str, message: str, retry_after: int | None = None) -> Response:
    """As Anthropic refuses."""
    headers = {} if retry_after is None else {"retry-after": str(retry_after)}
    kinds = {"invalid_api_key": "authentication_error", "rate_limit_exceeded": "rate_limit_error"}
    error = {"type": kinds.get(code, code), "message": message}
    return JSONResponse({"type": "error", "error": error}, status, headers)


_DIALECTS = {
    "/v1/responses": _Dialect(responses.parse_request, ResponseStream, _refuse),
    "/v1/messages": _Dialect(messages.parse_request, MessagesStream, _refuse_message),
    "/v1/chat/completions": _Dialect(chat.parse_request, ChatStream, _refuse),
}
"""By the path of requests."""
