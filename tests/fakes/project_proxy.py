"""MeshAgent's proxy for models, as its documentation and packages describe it (gateway page, 1.1 and 5): who
may use it, which paths and headers it lets through, and that the provider's key takes the token's place.
The hosted one was never to be had: what it says beside status codes is our guess.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import jwt
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from process_agent.scripted.server import ScriptedServer

SECRET = "s" * 64
PATHS = {"/openai/v1/responses": "responses", "/anthropic/v1/messages": "messages"}
STRIPPED = ("host", "authorization", "x-api-key", "content-length", "connection", "meshagent-session")


def token(secret: str = SECRET, **claims: Any) -> str:
    """A participant token; `api` is its grant, by default one for all models."""
    api = claims.pop("api", {"llm": {}})
    grants = [
        {"name": "room", "scope": "demo"},
        {"name": "role", "scope": "agent"},
        {"name": "api", "scope": api},
    ]
    return jwt.encode(
        {"name": "bot", "sub": "project", "grants": grants, **claims}, secret, algorithm="HS256"
    )


class ProjectProxy:
    """Forwards to the scripted model. `seen` are the paths and models of the requests that came through."""

    def __init__(self, upstream: ScriptedServer) -> None:
        self._upstream = upstream
        self._client = httpx.AsyncClient(timeout=30)
        self.seen: list[tuple[str, str]] = []

    async def handle(self, request: Request) -> Response:
        path = request.url.path
        kind = PATHS.get(path)
        if kind is None:
            return _refused(400, f"the proxy does not serve {path}")
        key = request.headers.get("x-api-key") or request.headers.get("authorization", "").removeprefix(
            "Bearer "
        )
        try:
            claims = jwt.decode(key, SECRET, algorithms=["HS256"])
        except jwt.PyJWTError as error:
            return _refused(401, f"the token is not valid: {error}")
        body = await request.json()
        provider = path.split("/")[1]
        if (reason := _forbidden(claims, provider, str(body.get("model")))) is not None:
            return _refused(403, reason)
        self.seen.append((path, str(body.get("model"))))
        headers = {name: value for name, value in request.headers.items() if name not in STRIPPED}
        own = {"x-api-key": self._upstream.api_key} if kind == "messages" else {}
        headers |= own or {"authorization": f"Bearer {self._upstream.api_key}"}
        sent = self._client.build_request(
            "POST", f"{self._upstream.base_url}/{kind}", content=await request.body(), headers=headers
        )
        answer = await self._client.send(sent, stream=True)

        async def pieces() -> AsyncIterator[bytes]:
            try:
                async for piece in answer.aiter_raw():
                    yield piece
            finally:
                await answer.aclose()

        kept = {
            name: value for name, value in answer.headers.items() if name in ("content-type", "retry-after")
        }
        return StreamingResponse(pieces(), answer.status_code, kept)

    async def close(self) -> None:
        await self._client.aclose()


def _forbidden(claims: dict[str, Any], provider: str, model: str) -> str | None:
    scopes = [grant.get("scope") for grant in claims["grants"] if grant["name"] == "api"]
    llm = next((scope["llm"] for scope in scopes if isinstance(scope, dict) and "llm" in scope), None)
    if llm is None:
        return "the token grants no models"
    allowed = llm.get("models")
    name = f"{provider}/{model}"
    if allowed is None or any(
        name.startswith(each[:-1]) if each.endswith("*") else name == each for each in allowed
    ):
        return None
    return f"the token does not grant {name}"


def _refused(status: int, message: str) -> Response:
    return JSONResponse({"error": {"message": message, "type": "invalid_request_error"}}, status)


@asynccontextmanager
async def project_proxy(upstream: ScriptedServer) -> AsyncIterator[tuple[str, ProjectProxy]]:
    """The proxy at an address of this machine, which is given."""
    proxy = ProjectProxy(upstream)
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.bind(("127.0.0.1", 0))
    app = Starlette(routes=[Route("/{path:path}", proxy.handle, methods=["GET", "POST"])])
    server = uvicorn.Server(uvicorn.Config(app, log_config=None, access_log=False, ws="none", lifespan="off"))
    task = asyncio.create_task(server.serve([listener]))
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}", proxy
    finally:
        server.should_exit = server.force_exit = True
        await task
        await proxy.close()
