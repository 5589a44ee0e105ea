"""The part of MeshAgent's REST API that logins need, as its documentation describes it (command line page,
section 4): OAuth with PKCE, profile, projects, tokens, rooms. The hosted one was never to be had.
"""

from __future__ import annotations

import base64
import hashlib
import secrets
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from email.utils import formatdate
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response

from tests.fakes.served import served

CLIENT_ID = "client-of-the-tests"


class Accounts:
    """What the stand-in holds. `seen` are method and path of each request, `refuse` the paths to answer with
    another status.
    """

    def __init__(self) -> None:
        self.projects: list[dict[str, Any]] = [{"id": "p1", "name": "First"}, {"id": "p2", "name": "Second"}]
        self.rooms = {"demo"}
        self.refuse: dict[str, int] = {}
        self.seen: list[str] = []
        self.clock_offset = 0.0
        self.lifetime = 3600
        self._codes: dict[str, dict[str, str]] = {}
        self.access: set[str] = set()
        self.refresh: set[str] = set()

    async def handle(self, request: Request) -> Response:
        path = request.url.path
        self.seen.append(f"{request.method} {path}")
        if path in self.refuse:
            return JSONResponse({"message": "no"}, self.refuse[path])
        match path.strip("/").split("/"):
            case ["config"]:
                answer: Response = JSONResponse({"version": "0.55.1", "domains": {}})
            case ["oauth", "authorize"]:
                answer = self._authorize(request)
            case ["oauth", "token"]:
                answer = self._token({key: str(value) for key, value in (await request.form()).items()})
            case ["accounts", *rest]:
                answer = self._account(request, rest)
            case ["v1", "models"]:
                answer = JSONResponse({"data": []})
            case _:
                answer = JSONResponse({"message": "not found"}, 404)
        answer.headers["date"] = formatdate(time.time() + self.clock_offset, usegmt=True)
        return answer

    def _authorize(self, request: Request) -> Response:
        asked = dict(request.query_params)
        wanted = ("response_type", "client_id", "redirect_uri", "code_challenge", "state", "scope")
        if any(name not in asked for name in wanted) or asked["client_id"] != CLIENT_ID:
            return JSONResponse({"error": "invalid_request"}, 400)
        assert asked["code_challenge_method"] == "S256"
        code = secrets.token_urlsafe()
        self._codes[code] = asked
        return RedirectResponse(f"{asked['redirect_uri']}?code={code}&state={asked['state']}")

    def _token(self, form: dict[str, str]) -> Response:
        if form.get("client_id") != CLIENT_ID:
            return JSONResponse({"error": "invalid_client"}, 401)
        if form.get("grant_type") == "refresh_token":
            if form.get("refresh_token") not in self.refresh:
                return JSONResponse({"error": "invalid_grant"}, 400)
            return self._grant()
        asked = self._codes.pop(form.get("code", ""), None)
        digest = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
        challenge = base64.urlsafe_b64encode(digest).decode().rstrip("=")
        if (
            asked is None
            or asked["code_challenge"] != challenge
            or asked["redirect_uri"] != form.get("redirect_uri")
        ):
            return JSONResponse({"error": "invalid_grant"}, 400)
        return self._grant()

    def _grant(self) -> Response:
        access, refresh = f"access-{secrets.token_hex(8)}", f"refresh-{secrets.token_hex(8)}"
        self.access.add(access)
        self.refresh.add(refresh)
        return JSONResponse(
            {
                "access_token": access,
                "refresh_token": refresh,
                "expires_in": self.lifetime,
                "token_type": "Bearer",
            }
        )

    def _account(self, request: Request, rest: list[str]) -> Response:
        bearer = request.headers.get("authorization", "").removeprefix("Bearer ")
        if bearer not in self.access:
            return JSONResponse({"message": "who are you?"}, 401)
        match rest:
            case ["profiles", "me"]:
                return JSONResponse({"id": "u1", "first_name": "Ana", "email": "ana@example.com"})
            case ["projects"]:
                return JSONResponse({"projects": self.projects})
            case ["projects", _, "rooms", name]:
                return JSONResponse({"name": name}, 200 if name in self.rooms else 404)
            case ["projects", _, "participant-tokens"]:
                return JSONResponse({"token": f"token-{secrets.token_hex(8)}"})
        return JSONResponse({"message": "not found"}, 404)


@asynccontextmanager
async def accounts() -> AsyncIterator[tuple[str, Accounts]]:
    """The stand-in at an address of this machine, which is given."""
    there = Accounts()
    async with served(there.handle) as url:
        yield url, there
