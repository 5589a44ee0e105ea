"""MeshAgent's REST API for services, made of the published client's own models: it takes what they take,
answers in the forms they read, and refuses what they refuse. Statuses of the hosted one were never seen.
"""

from __future__ import annotations

import asyncio
import json
import socket
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import uvicorn
from meshagent.api.specs.service import ServiceSpec
from pydantic import ValidationError
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

PROJECT = "00000000-0000-0000-0000-000000000000"


@dataclass
class RestStandIn:
    """One project. `asked` are method and path of each request, `refuse` a status for all of them."""

    key: str
    url: str = ""
    services: dict[tuple[str | None, str], Any] = field(default_factory=dict)
    asked: list[tuple[str, str]] = field(default_factory=list)
    refuse: int | None = None

    def document(self, name: str, room: str | None) -> dict[str, Any]:
        """The service of this name, as it is kept."""
        [found] = [s for (r, _), s in self.services.items() if r == room and s.metadata.name == name]
        kept: dict[str, Any] = found.model_dump(mode="json")
        return kept

    def edit(self, name: str, room: str | None, change: Any) -> None:
        """Change a service by hand."""
        document = self.document(name, room)
        change(document)
        self.services[(room, document["id"])] = ServiceSpec.model_validate(document)

    async def all(self, request: Request) -> Response:
        if (refused := self._refused(request)) is not None:
            return refused
        room = request.path_params.get("room")
        if request.method == "GET":
            found = [s for (r, _), s in self.services.items() if r == room]
            return JSONResponse({"services": [s.model_dump(mode="json") for s in found]})
        try:
            spec: Any = ServiceSpec.model_validate(await request.json())
        except ValidationError as error:
            return _refusal(400, str(error))
        if spec.id is not None:
            return _refusal(400, "a new service has no id")
        if any(r == room and s.metadata.name == spec.metadata.name for (r, _), s in self.services.items()):
            return _refusal(409, "the name is taken")
        spec.id = str(uuid.uuid4())
        self.services[(room, spec.id)] = spec
        return JSONResponse({"id": spec.id} if room else spec.model_dump(mode="json"))

    async def one(self, request: Request) -> Response:
        if (refused := self._refused(request)) is not None:
            return refused
        room, service_id = request.path_params.get("room"), request.path_params["id"]
        spec = self.services.get((room, service_id))
        if spec is None:
            return _refusal(404, "not found")
        if request.method == "DELETE":
            del self.services[(room, service_id)]
            return Response(status_code=204)
        if request.method == "PUT":
            try:
                spec = ServiceSpec.model_validate(await request.json())
            except ValidationError as error:
                return _refusal(400, str(error))
            if spec.id != service_id:
                return _refusal(400, "the id is another's")
            self.services[(room, service_id)] = spec
            return JSONResponse({} if room else spec.model_dump(mode="json"))
        return Response(spec.model_dump_json())

    async def by_name(self, request: Request) -> Response:
        if (refused := self._refused(request)) is not None:
            return refused
        room = request.path_params.get("room")
        for (r, _), spec in self.services.items():
            if r == room and spec.metadata.name == request.path_params["name"]:
                return Response(spec.model_dump_json())
        return _refusal(404, "not found")

    def _refused(self, request: Request) -> Response | None:
        self.asked.append((request.method, request.url.path))
        if self.refuse is not None:
            return _refusal(self.refuse, f"no, and your key is {self.key}")
        if request.headers.get("authorization") != f"Bearer {self.key}":
            return _refusal(401, "who are you?")
        return None if request.path_params["project"] == PROJECT else _refusal(403, "not your project")


def _refusal(status: int, message: str) -> Response:
    return JSONResponse({"error": {"message": message}}, status_code=status)


@asynccontextmanager
async def rest_stand_in(key: str) -> AsyncIterator[RestStandIn]:
    """The stand-in at an address of this machine."""
    stand_in = RestStandIn(key)
    routes = []
    for scope in ("", "/rooms/{room}"):
        base = "/accounts/projects/{project}" + scope + "/services"
        routes += [
            Route(base, stand_in.all, methods=["GET", "POST"]),
            Route(base + "/by-name/{name}", stand_in.by_name),
            Route(base + "/{id}", stand_in.one, methods=["GET", "PUT", "DELETE"]),
        ]
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.bind(("127.0.0.1", 0))
    stand_in.url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    app = Starlette(routes=routes)
    server = uvicorn.Server(uvicorn.Config(app, log_config=None, access_log=False, ws="none", lifespan="off"))
    task = asyncio.create_task(server.serve([listener]))
    try:
        yield stand_in
    finally:
        server.should_exit = server.force_exit = True
        await task


def as_json(text: str) -> Any:
    """The last line of what a command printed."""
    return json.loads(text.splitlines()[-1])
