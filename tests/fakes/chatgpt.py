"""What logs people in to ChatGPT, as far as Codex (0.163.0) asks: device codes, OAuth with PKCE, accounts."""

from __future__ import annotations

import base64
import fcntl
import hashlib
import json
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from codex_cli_bin import bundled_codex_path
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from tests.fakes.served import served

EMAIL = "ana@example.com"
CODE = "ABCD-1234"
ACCOUNT = "account-1"


class ChatGpt:
    """`entered` is whether somebody has entered the device code; a code is good once."""

    def __init__(self) -> None:
        self.url = ""
        self.entered = False
        self.polls = 0
        self.asked: list[str] = []
        self.accounts_status = 200
        self.access_token = token(kind="access")
        self._challenges: dict[str, str] = {}

    async def handle(self, request: Request) -> Response:
        path = request.url.path
        self.asked.append(path)
        match path:
            case "/api/accounts/deviceauth/usercode":
                return JSONResponse({"device_auth_id": "device", "user_code": CODE, "interval": "0"})
            case "/api/accounts/deviceauth/token":
                return self._device(await request.json())
            case "/oauth/token":
                return self._grant({key: str(value) for key, value in (await request.form()).items()})
            case "/backend-api/wham/accounts/check":
                return JSONResponse(_ACCOUNTS, self.accounts_status)
            case _:
                return JSONResponse({"error": "not found"}, 404)

    def sign_in(self, page: str) -> tuple[str, dict[str, str]]:
        """Somebody signs in at the page that Codex named: where the browser goes then, and with what."""
        asked = {name: values[0] for name, values in parse_qs(urlsplit(page).query).items()}
        assert page.startswith(f"{self.url}/oauth/authorize?")
        assert (asked["response_type"], asked["code_challenge_method"]) == ("code", "S256")
        self._challenges["browser"] = asked["code_challenge"]
        return asked["redirect_uri"], {"code": "browser", "state": asked["state"]}

    def _device(self, asked: dict[str, str]) -> Response:
        self.polls += 1
        if asked != {"device_auth_id": "device", "user_code": CODE} or not self.entered:
            return JSONResponse({"error": "authorization_pending"}, 403)
        verifier = "v" * 43
        self._challenges["device"] = _challenge(verifier)
        answer = {"authorization_code": "device", "code_verifier": verifier}
        return JSONResponse({**answer, "code_challenge": self._challenges["device"]})

    def _grant(self, form: dict[str, str]) -> Response:
        if form.get("grant_type") != "authorization_code":
            return JSONResponse({"error": "unsupported_grant_type"}, 400)  # no API key for this account
        wanted = self._challenges.pop(form.get("code", ""), None)
        if wanted is None or wanted != _challenge(form.get("code_verifier", "")):
            return JSONResponse({"error": "invalid_grant"}, 400)
        tokens = {"id_token": token(email=EMAIL), "access_token": self.access_token}
        return JSONResponse({**tokens, "refresh_token": "refresh-s3cret", "expires_in": 3600})


def _challenge(verifier: str) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).decode().rstrip("=")


def token(**claims: object) -> str:
    """A JSON web token of the account, which nobody signed."""
    auth = {"chatgpt_account_id": ACCOUNT, "chatgpt_plan_type": "plus", "chatgpt_user_id": "user-1"}
    body = {**claims, "exp": int(time.time()) + 3600, "https://api.openai.com/auth": auth}
    parts = (json.dumps(part).encode() for part in ({"alg": "none"}, body))
    return ".".join([*(base64.urlsafe_b64encode(part).decode().rstrip("=") for part in parts), "c2lnbmVk"])


_ACCOUNTS: dict[str, Any] = {
    "accounts": [
        {
            "id": ACCOUNT,
            "plan_type": "plus",
            "structure": "personal",
            "account_routing_override": "NO_CONSTRAINT",
            "workspace_backend_origin": "https://chatgpt.com",
        }
    ],
    "default_account_id": ACCOUNT,
}


@asynccontextmanager
async def chatgpt() -> AsyncIterator[ChatGpt]:
    """It, at an address of this machine."""
    there = ChatGpt()
    async with served(there.handle) as there.url:
        yield there


def codex_of(there: ChatGpt, folder: Path) -> dict[str, str]:
    """The environment of a Codex that logs in there, which a variable tells it that we do not pass on."""
    program, home = folder / "codex-there", folder / "home"
    program.write_text(
        f'#!/bin/sh\nexport CODEX_APP_SERVER_LOGIN_ISSUER={there.url}\nexec {bundled_codex_path()} "$@"\n'
    )
    program.chmod(0o755)
    home.mkdir()
    (home / "config.toml").write_text(f'chatgpt_base_url = "{there.url}/backend-api"\n')
    return {"PROCESS_CODEX_BINARY": str(program), "CODEX_HOME": str(home)}


@contextmanager
def callback_port() -> Iterator[None]:
    """Browsers come back to a port that Codex has fixed, and it ends whoever else waits there."""
    with (Path(tempfile.gettempdir()) / "process-tests-codex-callback.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
