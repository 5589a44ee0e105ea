"""The HTTP endpoints about services: the owner's own, and what MeshAgent's REST API can have here."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from process_agent.errors import WireError
from process_agent.room_server import access
from process_agent.room_server.endpoints import failed, read_body
from process_agent.room_server.services.running import RunningService
from process_agent.room_server.services.services import LocalServices, as_json
from process_agent.services.local import only_switched
from process_agent.wire.participant_token import is_room_name

MAX_DOCUMENT_BYTES = 1024 * 1024
"""Longest body with a service document."""

MAX_LINES = 10_000
"""Most lines of a log in one answer."""

_ELSEWHERE = "The local room runs agents of this program and no containers: use process deploy."


@dataclass(frozen=True, slots=True)
class ServiceEndpoints:
    """The endpoints of one server. Reading is for administrators, everything else for the owner alone."""

    services: LocalServices
    key: str

    async def listed(self, request: Request) -> Response:
        """`GET /services?room=R`: the services, of one room or of all."""
        self._owner(request)
        return JSONResponse(
            {"services": [as_json(s) for s in self.services.all(request.query_params.get("room"))]}
        )

    async def put(self, request: Request) -> Response:
        """`POST /services`: register one, or update the one of this name."""
        self._owner(request)
        body = await read_body(request, MAX_DOCUMENT_BYTES)
        room, document, environment = body.get("room"), body.get("document"), body.get("environment")
        if not isinstance(room, str) or not is_room_name(room) or not isinstance(document, dict):
            raise WireError("room is not a room name, or the document is missing.")
        if not isinstance(environment, dict) or not all(isinstance(v, str) for v in environment.values()):
            raise WireError("environment is not an object of texts.")
        service, created = await self.services.put(room, document, environment)
        return JSONResponse({**as_json(service), "created": created})

    async def one(self, request: Request) -> Response:
        """`GET /services/{id}`, with the document of before, and `DELETE /services/{id}`."""
        self._owner(request)
        service = self._found(request)
        if service is None:
            return _missing()
        if request.method == "DELETE":
            await self.services.remove(service)
        before = service.record.previous
        return JSONResponse(
            {**as_json(service), "previous_document": None if before is None else dict(before.document)}
        )

    async def act(self, request: Request) -> Response:
        """`POST /services/{id}/{action}`: restart, start, stop or rollback; returns before it is done."""
        self._owner(request)
        service, action = self._found(request), request.path_params["action"]
        if service is None:
            return _missing()
        if action == "restart":
            await self.services.restart(service)
        elif action in ("start", "stop"):
            await self.services.switch(service, action == "start")
        elif action == "rollback":
            await self.services.roll_back(service)
        else:
            return failed(404, f"Services know no action {action!r}.")
        return JSONResponse(as_json(service))

    async def logs(self, request: Request) -> Response:
        """`GET /services/{id}/logs?lines=N` or `?after=POSITION`: what it printed, and the next position."""
        self._owner(request)
        service, query = self._found(request), request.query_params
        if service is None:
            return _missing()
        text, position = (
            service.log.after(_number(query["after"]))
            if "after" in query
            else service.log.tail(min(_number(query.get("lines", "100")), MAX_LINES))
        )
        return JSONResponse({"text": text, "position": position})

    async def room_services(self, request: Request) -> Response:
        """`GET …/rooms/{room}/services` of MeshAgent's REST API; `POST` is refused."""
        self._administrator(request)
        if request.method == "POST":
            return failed(400, _ELSEWHERE)
        found = self.services.all(request.path_params["room"])
        return JSONResponse({"services": [_document(service) for service in found]})

    async def project_services(self, request: Request) -> Response:
        """`GET …/services`: there are none for all rooms; `POST` is refused."""
        self._administrator(request)
        return failed(400, _ELSEWHERE) if request.method == "POST" else JSONResponse({"services": []})

    async def by_name(self, request: Request) -> Response:
        """`GET …/rooms/{room}/services/by-name/{name}`."""
        self._administrator(request)
        name = request.path_params["name"]
        for service in self.services.all(request.path_params["room"]):
            if service.record.name == name:
                return JSONResponse(_document(service))
        return _missing()

    async def room_service(self, request: Request) -> Response:
        """`GET`, `PUT`, `DELETE …/rooms/{room}/services/{id}`. `PUT` enables and disables, nothing else."""
        if request.method == "GET":
            self._administrator(request)
        else:
            self._owner(request)
        service = self._found(request)
        if service is None or service.record.room != request.path_params["room"]:
            return _missing()
        if request.method == "DELETE":
            await self.services.remove(service)
        elif request.method == "PUT":
            document = await read_body(request, MAX_DOCUMENT_BYTES)
            enabled = document.get("enabled")
            if not isinstance(enabled, bool) or not only_switched(document, service.record.document):
                raise WireError("A service of the local room is changed with process deploy.")
            await self.services.switch(service, enabled)
            return JSONResponse({})
        return JSONResponse(_document(service))

    def _found(self, request: Request) -> RunningService | None:
        try:
            return self.services.find(request.path_params["id"])
        except KeyError:
            return None

    def _owner(self, request: Request) -> None:
        access.owner(request.headers.get("authorization"), self.key, time.time())

    def _administrator(self, request: Request) -> None:
        access.administrator(request.headers.get("authorization"), self.key, time.time())


def service_routes(endpoints: ServiceEndpoints) -> list[Route]:
    """Their places."""
    project = "/accounts/projects/{project}"
    room = project + "/rooms/{room}/services"
    return [
        Route("/services", endpoints.listed, methods=["GET"]),
        Route("/services", endpoints.put, methods=["POST"]),
        Route("/services/{id}", endpoints.one, methods=["GET", "DELETE"]),
        Route("/services/{id}/logs", endpoints.logs, methods=["GET"]),
        Route("/services/{id}/{action}", endpoints.act, methods=["POST"]),
        Route(project + "/services", endpoints.project_services, methods=["GET", "POST"]),
        Route(room, endpoints.room_services, methods=["GET", "POST"]),
        Route(room + "/by-name/{name}", endpoints.by_name, methods=["GET"]),
        Route(room + "/{id}", endpoints.room_service, methods=["GET", "PUT", "DELETE"]),
    ]


def _document(service: RunningService) -> Mapping[str, Any]:
    return {**service.record.document, "id": service.record.id}


def _missing() -> Response:
    return failed(404, "There is no such service.")


def _number(text: str) -> int:
    if not text.isascii() or not text.isdigit() or len(text) > 18:
        raise WireError("This is not a number.")
    return int(text)
