"""The HTTP and websocket endpoints of the room server."""

from __future__ import annotations

import json
import logging
import time
import uuid
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable
from urllib.parse import quote

from starlette.requests import HTTPConnection, Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.websockets import WebSocket

from process_agent import __version__
from process_agent.errors import AuthError, FrameTooLargeError, WireError
from process_agent.room_server import access
from process_agent.room_server.access import Codes, Identity
from process_agent.room_server.hub import Hub, Room
from process_agent.room_server.member import Member
from process_agent.room_server.storage import DOWNLOAD_HEADERS, MAX_PIECE, StorageToolkit
from process_agent.room_server.storage_files import StoredFile, read_pieces
from process_agent.room_server.toolkit import (
    NOT_FOUND,
    PERMISSION_DENIED,
    Call,
    Caller,
    ToolError,
    json_content,
)
from process_agent.room_server.websocket import EXTENSION, RoomLink
from process_agent.wire import participant_token
from process_agent.wire.participant_token import ParticipantToken
from process_agent.wire.room_frames import PacketJoiner

logger = logging.getLogger(__name__)

MAX_BODY_BYTES = 64 * 1024
"""Longest body of a request."""

UPLOADS = "uploads/"
"""Where pages put what people attach."""

MAX_DISCARDED = 100
"""Files that one page takes back at once."""

MINTED_SECONDS = 24 * 3600
"""How long a token lives that the server gives out."""


@runtime_checkable
class Tables(Protocol):
    """The toolkit that has tables; it is not imported here, because it takes long to load."""

    async def picture(self, caller: Caller, image_id: str) -> tuple[bytes, str]:
        """The bytes and the MIME type of an image. Raises `ToolError`."""
        ...

    async def usage(self, caller: Caller, agent: str, thread: str) -> dict[str, Any]:
        """What an agent and one of its threads used. Raises `ToolError`."""
        ...


@dataclass(frozen=True, slots=True)
class Endpoints:
    """The endpoints of one server. `instance` tells one start of the server from another."""

    hub: Hub
    load_toolkits: Callable[[], Awaitable[None]]
    key: str
    port: int
    instance: str
    codes: Codes = field(default_factory=Codes)

    async def healthz(self, _request: Request) -> Response:
        """`GET /healthz`: the server is ready."""
        return JSONResponse({"status": "ok", "instance": self.instance, "version": __version__})

    async def config(self, _request: Request) -> Response:
        """`GET /config`: the version, asked for by published command lines."""
        return JSONResponse({"version": __version__})

    async def connect(self, request: Request) -> Response:
        """`POST /accounts/projects/{project}/rooms/{room}/connect`: a token for a room."""
        admin = access.administrator(request.headers.get("authorization"), self.key, time.time())
        room = request.path_params["room"]
        if not participant_token.is_room_name(room):
            return failed(404, f"There is no room {room!r}.")
        body = await read_body(request)
        name = body.get("email") or admin.name
        token = ParticipantToken(name, room, "user", participant_token.default_api("user"), _soon())
        project = request.path_params["project"]
        answer = {"jwt": self._sign(token), "room_name": room, "project_id": project}
        return JSONResponse({**answer, "room_url": _room_url(request, room)})

    async def participant_tokens(self, request: Request) -> Response:
        """`POST /accounts/projects/{project}/participant-tokens`: a token with given grants."""
        access.administrator(request.headers.get("authorization"), self.key, time.time())
        body = await read_body(request)
        grants = body.get("grants")
        if grants is None:
            grants = [{"name": "room", "scope": body.get("room_name")}]
            grants += [{"name": name, "scope": body[name]} for name in ("role", "api") if body.get(name)]
        token = participant_token.from_claims({"name": body.get("name"), "grants": grants, "exp": _soon()})
        return JSONResponse({"token": self._sign(token)})

    async def issue_code(self, request: Request) -> Response:
        """`POST /codes`: a one-time code for a Studio link."""
        access.administrator(request.headers.get("authorization"), self.key, time.time())
        body = await read_body(request)
        room, name = body.get("room"), body.get("name")
        if not isinstance(room, str) or not participant_token.is_room_name(room):
            return failed(400, "room is not a room name.")
        if not isinstance(name, str) or not name.strip():
            return failed(400, "name is missing.")
        code = self.codes.issue(Identity(room, name), time.time())
        return JSONResponse({"code": code, "expires_in": access.CODE_SECONDS})

    async def open_session(self, request: Request) -> Response:
        """`POST /session`: exchange a code for the session cookie."""
        access.check_origin(request.headers.get("origin"), request.headers.get("host"), required=True)
        code = (await read_body(request)).get("code")
        identity = self.codes.redeem(code if isinstance(code, str) else "", time.time())
        response = JSONResponse({"room": identity.room, "name": identity.name})
        response.set_cookie(
            access.cookie_name(self.port),
            access.session_cookie(identity, self.key, time.time()),
            max_age=access.SESSION_SECONDS,
            httponly=True,
            samesite="strict",
        )
        return response

    async def read_session(self, request: Request) -> Response:
        """`GET /session`: whom the cookie belongs to."""
        try:
            identity = self._session(request)
        except AuthError as error:
            return failed(401, error.message)
        return JSONResponse({"room": identity.room, "name": identity.name})

    async def room(self, websocket: WebSocket) -> None:
        """`GET /rooms/{room}`: join a room. Everything wrong is 403, because clients retry 401 for ever."""
        name = websocket.path_params["room"]
        try:
            caller = self._caller(websocket, name)
        except AuthError as error:
            await websocket.send_denial_response(failed(403, error.message))
            return
        link: RoomLink = websocket.scope["extensions"][EXTENSION]["link"]
        await self.load_toolkits()
        try:
            room = self.hub.room(name)
        except ToolError as error:
            await websocket.send_denial_response(failed(503, error.text))
            return
        await websocket.accept()
        try:
            member = room.join(caller, link.outbox, _room_url(websocket, name))
        except ToolError as error:
            link.outbox.close(1013, error.text)
            return
        await _converse(websocket, link, room, member)

    async def download(self, request: Request) -> Response:
        """`GET /rooms/{room}/files/{path}`: a stored file, for who has a link that the room signed."""
        storage = self.hub.toolkit(request.path_params["room"], "storage")
        query = request.query_params
        if not isinstance(storage, StorageToolkit):
            return failed(404, "There is no such link.")
        try:
            signed = (query.get("expires", ""), query.get("signature", ""))
            stored = await storage.open_signed(request.path_params["path"], *signed)
        except ToolError as error:
            return failed(403 if error.code == PERMISSION_DENIED else 404, error.text)
        disposition = "attachment" if query.get("download") else "inline"
        headers = {
            **DOWNLOAD_HEADERS,
            "Content-Length": str(stored.size),
            "Content-Disposition": f"{disposition}; filename*=UTF-8''{quote(stored.name)}",
        }
        return StreamingResponse(_pieces(stored), media_type=stored.mime_type, headers=headers)

    async def picture(self, request: Request) -> Response:
        """`GET /rooms/{room}/images/{id}`: an image that models made, for the page of who is in that room."""
        try:
            tables, caller = self._tables(request)
            data, kind = await tables.picture(caller, request.path_params["id"])
        except AuthError as error:
            return failed(401, error.message)
        except ToolError as error:
            return failed(403 if error.code == PERMISSION_DENIED else 404, error.text)
        return Response(data, media_type=kind, headers=dict(DOWNLOAD_HEADERS))

    async def usage(self, request: Request) -> Response:
        """`GET /rooms/{room}/usage?agent=NAME&thread=PATH`: what an agent used, for who is in that room."""
        query = request.query_params
        try:
            tables, caller = self._tables(request)
            found = await tables.usage(caller, query.get("agent", ""), query.get("thread", ""))
        except AuthError as error:
            return failed(401, error.message)
        except ToolError as error:
            return failed(403 if error.code == PERMISSION_DENIED else 404, error.text)
        return JSONResponse(found, headers={"Cache-Control": "no-store"})

    async def discard(self, request: Request) -> Response:
        """`POST /rooms/{room}/discarded` with `paths`: a page that is left takes back what it attached and
        never sent; its websocket may be gone by then.
        """
        access.check_origin(request.headers.get("origin"), request.headers.get("host"), required=True)
        storage = self.hub.toolkit(request.path_params["room"], "storage")
        caller = self._visitor(request)
        paths = (await read_body(request)).get("paths")
        if not isinstance(storage, StorageToolkit) or caller is None or not isinstance(paths, list):
            return failed(404, "There is nothing of the kind.")
        for path in paths[:MAX_DISCARDED]:
            if not isinstance(path, str) or not path.startswith(UPLOADS):
                continue
            try:
                await storage.call(Call(caller, "delete", json_content({"path": path, "recursive": False})))
            except ToolError as error:
                logger.info("an attached file was not removed: %s", error.text)
        return Response(status_code=204)

    def _tables(self, request: Request) -> tuple[Tables, Caller]:
        """The tables of the room that a page is in, and as whom it reads them. Raises `AuthError`, and
        `ToolError` for another room.
        """
        caller = self._visitor(request)
        toolkit: object = None if caller is None else self.hub.toolkit(caller.room, "dataset")
        if caller is None or not isinstance(toolkit, Tables):
            raise ToolError("There is nothing of the kind.", code=NOT_FOUND)
        return toolkit, caller

    def _visitor(self, request: Request) -> Caller | None:
        """Who asks by a page, None for another room than the session's. Raises `AuthError`."""
        room, identity = request.path_params["room"], self._session(request)
        if identity.room != room:
            return None
        api = participant_token.default_api("user")
        return Caller(uuid.uuid4().hex, identity.name, "user", room, api, False)

    def _caller(self, websocket: WebSocket, room: str) -> Caller:
        headers = websocket.headers
        in_query = _bearer_in_query(websocket)
        authorization = headers.get("authorization") or in_query
        cookie_only = authorization is None
        access.check_origin(headers.get("origin"), headers.get("host"), required=cookie_only)
        if not participant_token.is_room_name(room):
            raise AuthError(f"{room!r} is not a room name.")
        if cookie_only:
            identity = self._session(websocket)
            if identity.room != room:
                raise AuthError("The session is for another room.")
            token = ParticipantToken(identity.name, room, api=participant_token.default_api("user"))
        else:
            token = access.participant(authorization, self.key, room, time.time())
        api = token.api or {}
        return Caller(uuid.uuid4().hex, token.name, token.role, room, api, in_query is not None)

    def _session(self, connection: HTTPConnection) -> Identity:
        cookie = connection.cookies.get(access.cookie_name(self.port))
        return access.session(cookie, self.key, time.time())

    def _sign(self, token: ParticipantToken) -> str:
        return participant_token.encode(token, self.key)


def _bearer_in_query(websocket: WebSocket) -> str | None:
    """The npm client's only way to show its token: a browser's websocket takes no headers."""
    token = websocket.query_params.get("token")
    return None if token is None else f"Bearer {token}"


async def _converse(websocket: WebSocket, link: RoomLink, room: Room, member: Member) -> None:
    """Hand packets to the room until the connection ends."""
    joiner = PacketJoiner()

    def receive(packet: bytes) -> None:
        try:
            message = joiner.feed(packet)
            if message is not None:
                room.receive(member, message)
        except FrameTooLargeError as error:
            link.outbox.close(1009, error.message[:100])
        except WireError as error:
            link.outbox.close(1002, error.message[:100])
        except Exception:
            logger.exception("a message of %s in room %s failed", member.id, room.name)
            link.outbox.abort()

    link.attach(receive)
    try:
        while True:
            event = await websocket.receive()
            if event["type"] == "websocket.disconnect":
                return
            if event.get("bytes") is None:
                link.outbox.close(1003, "the room protocol has binary frames only")
            else:
                receive(event["bytes"])
    finally:
        room.leave(member)


def _pieces(stored: StoredFile) -> Iterator[bytes]:
    with stored.file:
        yield from read_pieces(stored.file, stored.size, MAX_PIECE)


async def read_body(request: Request, limit: int = MAX_BODY_BYTES) -> Mapping[str, Any]:
    """The JSON object of a request; an empty body is an empty object. Raises `WireError`."""
    body = b""
    async for piece in request.stream():
        body += piece
        if len(body) > limit:
            raise FrameTooLargeError(f"The body is longer than {limit} bytes.")
    try:
        value = json.loads(body or b"{}")
    except (ValueError, RecursionError) as error:
        raise WireError("The body is not JSON.") from error
    if not isinstance(value, dict):
        raise WireError("The body is not a JSON object.")
    return value


def refused(_request: HTTPConnection, error: Exception) -> Response:
    """The answer to an `AuthError` or `WireError` of an HTTP endpoint."""
    if isinstance(error, AuthError):
        return failed(403, error.message)
    return failed(413 if isinstance(error, FrameTooLargeError) else 400, str(error))


def failed(status: int, message: str) -> JSONResponse:
    """The answer of an endpoint that cannot do what it was asked for."""
    return JSONResponse({"error": {"message": message}}, status_code=status)


def _room_url(connection: HTTPConnection, room: str) -> str:
    return f"ws://{connection.headers.get('host')}/rooms/{room}"


def _soon() -> int:
    return int(time.time()) + MINTED_SECONDS
