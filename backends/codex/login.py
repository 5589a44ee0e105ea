"""Logging in to Codex, through its own flow (`account/…`, page section 10)."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from backends.codex import client
from backends.codex.account import Account, chosen_home, no_model
from backends.codex.app_server import HELLO_TIMEOUT, AppServer
from backends.codex.launch import child_environment
from backends.codex.shapes import as_dict
from process_agent import __version__
from process_agent.core.backend import BackendConfig
from process_agent.core.discretion import without_addresses
from process_agent.core.login import LoginState, LoginWay, SignIn
from process_agent.errors import AuthError, BackendError, ProcessError, RemoteError
from process_agent.io.child import Child, Command
from process_agent.io.codex_program import locate
from process_agent.io.rpc import Connection
from process_agent.io.tasks import Tasks
from process_agent.wire.jsonrpc import METHOD_NOT_FOUND, Notification, Request

STOP_SECONDS: Final = 5.0
"""How long Codex may take to give up on a login that was cancelled."""

PATIENCE: Final = 60.0
"""Seconds an answer may take: some come from OpenAI."""

_QUIET: Final = (
    *("features.plugins=false", "features.apps=false", "features.remote_plugin=false"),
    *("analytics.enabled=false", "check_for_update_on_startup=false"),
)
_HELLO: Final = {
    "clientInfo": {"name": "process_agent", "title": "process", "version": __version__},
    "capabilities": {"experimentalApi": True},
}
_WAYS: Final = {"browser": "chatgpt", "device-code": "chatgptDeviceCode"}
_KEPT: Final = (
    "Codex has written down a login all the same; `process login codex --status` says whether it counts."
)
_OFFLINE: Final = "Check that this machine reaches auth.openai.com, or use `process login codex --api-key`."


class CodexLogin:
    """Implements the port `Login` with an app-server that does nothing else."""

    def __init__(self, child: Child, home: Path) -> None:
        self._child = child
        self._home = home
        self._connection = Connection(child, self._hear, self._refuse)
        self._tasks = Tasks("codex login")
        self._login_id: str | None = None
        self._ended: asyncio.Future[str | None] = asyncio.get_running_loop().create_future()

    async def start(self) -> None:
        """Greet. Raises `BackendError` with what the program said last."""
        self._tasks.start(self._listen(), "reader")
        try:
            await self._connection.request("initialize", _HELLO, timeout=HELLO_TIMEOUT)
        except ProcessError as error:
            said = without_addresses(self._child.stderr_tail()[-1_000:]) or str(error)
            raise BackendError(f"Codex cannot be asked about its login: {said}") from error
        self._connection.notify("initialized")

    async def state(self) -> LoginState:
        """See the port."""
        found = (await self._ask("account/read", {})).get("account")
        return LoginState(isinstance(found, dict), account_text(found) or "no login", str(self._home))

    async def sign_in(self, way: LoginWay, show: Callable[[SignIn], None]) -> LoginState:
        """See the port."""
        begun = await self._begin({"type": _WAYS[way]})
        self._login_id = str(begun.get("loginId"))
        url, code = begun.get("verificationUrl") or begun.get("authUrl"), begun.get("userCode")
        show(SignIn(str(url), str(code) if code else None))
        try:
            error = await self._ended
        except asyncio.CancelledError:
            cancel = {"loginId": self._login_id}
            with contextlib.suppress(ProcessError):
                await self._connection.request("account/login/cancel", cancel, timeout=STOP_SECONDS)
            raise
        if error is None:
            return await self.state()
        raise AuthError(
            f"The login did not come to its end: {without_addresses(error).rstrip('.')}.",
            fix=_KEPT if await asyncio.to_thread((self._home / "auth.json").exists) else None,
        )

    async def keep_key(self, key: str) -> LoginState:
        """See the port."""
        await self._begin({"type": "apiKey", "apiKey": key})
        return await self.state()

    async def sign_out(self) -> LoginState:
        """See the port."""
        before = await self.state()
        await self._ask("account/logout", {})
        return before

    async def close(self) -> None:
        """See the port."""
        await self._child.stop()
        await self._tasks.close()

    async def _begin(self, how: dict[str, Any]) -> dict[str, Any]:
        try:
            return await self._connection.request("account/login/start", how, timeout=PATIENCE)
        except RemoteError as error:
            why = without_addresses(error.message).rstrip(".")
            raise AuthError(f"Codex could not begin the login: {why}.", fix=_OFFLINE) from error

    async def _ask(self, method: str, params: dict[str, Any]) -> dict[str, Any]:
        try:
            return await self._connection.request(method, params, timeout=PATIENCE)
        except RemoteError as error:
            raise BackendError(f"Codex refused {method}: {without_addresses(error.message)}") from error

    async def _listen(self) -> None:
        await self._connection.run()
        if not self._ended.done():
            self._ended.set_result("Codex ended before the login was done")

    def _hear(self, notification: Notification) -> None:
        params = notification.params
        ours = notification.method == "account/login/completed" and params.get("loginId") == self._login_id
        if ours and self._login_id is not None and not self._ended.done():
            done = params.get("success") is True
            self._ended.set_result(None if done else str(params.get("error") or "it was not completed"))

    def _refuse(self, request: Request) -> None:
        self._connection.refuse(request.id, METHOD_NOT_FOUND, "only a login happens here")


async def open_login(config: BackendConfig) -> CodexLogin:
    """The login in Codex's folder, which is made if it is missing. Raises `BackendError`."""
    home = chosen_home(config)
    try:
        home.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise BackendError(f"Codex's folder {home} cannot be made: {error.strerror}.") from error
    program = await locate(config.environment, home)
    environment = child_environment(config.environment, program, Account("login", home))
    arguments = [str(program.path), "app-server", *(word for each in _QUIET for word in ("-c", each))]
    login = CodexLogin(await Child.spawn(Command(arguments, environment, home)), home)
    try:
        await login.start()
    except BaseException:
        await login.close()
        raise
    return login


def account_text(account: object) -> str | None:
    """What an `account` of `account/read` is; None for none."""
    found = as_dict(account)
    match found.get("type"):
        case "chatgpt":
            mail = f", {found['email']}" if found.get("email") else ""
            return f"ChatGPT login ({found.get('planType') or 'unknown plan'}){mail}"
        case "apiKey":
            return "API key"
        case str(kind):
            return f"{kind} login"
        case _:
            return None


async def account_label(server: AppServer, account: Account) -> str:
    """The kind of account. Raises `AuthError` when the user's Codex turns out to have no login."""
    if account.provider is not None:
        return account.label
    answer = await client.read_account(server)
    found = answer.get("account")
    if isinstance(found, dict):
        if found.get("type") == "chatgpt":
            return f"ChatGPT login ({found.get('planType') or 'unknown plan'})"
        return "API key of the Codex login" if found.get("type") == "apiKey" else f"{found.get('type')} login"
    if answer.get("requiresOpenaiAuth"):
        raise no_model(account.home)
    return "provider of the user's Codex configuration"
