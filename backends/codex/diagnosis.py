"""What a backend that is not started can be asked: its login, and what it would start with."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

from backends.codex.account import Account, choose_account
from backends.codex.login import open_login
from process_agent.core.backend import BackendConfig
from process_agent.core.diagnosis import Finding, failure, fine
from process_agent.core.login import Login
from process_agent.errors import AuthError, BackendError, ProcessError
from process_agent.io.codex_program import INSTALL, locate

PROGRAM = "codex"
LOGIN = "codex login"
_LOG_IN = "Log in with `process login codex`, or set OPENAI_API_KEY."


class Unstarted:
    """The part of the backend that needs no app-server of its own."""

    def __init__(self, config: BackendConfig) -> None:
        self._config = config

    async def login(self) -> Login:
        """See `core.login.WithLogin`."""
        return await open_login(self._config)

    async def diagnose(self) -> Sequence[Finding]:
        """See `core.diagnosis.Diagnosable`."""
        return await diagnose(self._config)


async def diagnose(config: BackendConfig) -> Sequence[Finding]:
    """Findings about program and login. The program is asked for its version with an empty folder as home."""
    with tempfile.TemporaryDirectory(prefix="process-doctor-") as folder:
        try:
            found = await locate(config.environment, Path(folder))
        except BackendError as error:
            return [failure(PROGRAM, error.message, error.fix or INSTALL)]
    return [fine(PROGRAM, f"{found.version_text}, {found.path}"), await _login(config)]


async def _login(config: BackendConfig) -> Finding:
    try:
        account = choose_account(config)
    except AuthError as error:
        return failure(LOGIN, error.message, error.fix or _LOG_IN)
    if account.provider is not None:
        return fine(LOGIN, f"not needed: {account.label}")
    return await _kept(config, account)


async def _kept(config: BackendConfig, account: Account) -> Finding:
    """The login in Codex's folder, which is there; Codex itself says what it is."""
    try:
        login = await open_login(config)
        try:
            state = await login.state()
        finally:
            await login.close()
    except ProcessError as error:
        return failure(LOGIN, error.message, error.fix or _LOG_IN)
    if state.present:
        return fine(LOGIN, f"{state.about}, kept in {state.place}")
    if (account.home / "config.toml").is_file():
        return Finding(
            LOGIN,
            "warning",
            f"none in {account.home}; only its config.toml may name a provider that needs none",
            _LOG_IN,
        )
    return failure(LOGIN, f"none in {account.home}", _LOG_IN)
