"""Logging in to what pays for a backend's models: the port of backends that have logins of their own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, Protocol, runtime_checkable

type LoginWay = Literal["browser", "device-code"]


@dataclass(frozen=True, slots=True)
class LoginState:
    """Whether there is a login; which, like "ChatGPT login (plus), ana@example.com"; where it is kept."""

    present: bool
    about: str
    place: str


@dataclass(frozen=True, slots=True)
class SignIn:
    """A page for the person to open; with a code, to enter there, on any machine."""

    url: str
    code: str | None = None


class Login(Protocol):
    """One login, as the backend's own program keeps it. Whoever gets it closes it."""

    async def state(self) -> LoginState:
        """What there is now. Raises `BackendError`."""
        ...

    async def sign_in(self, way: LoginWay, show: Callable[[SignIn], None]) -> LoginState:
        """Have a person sign in; `show` says where. Cancelled, nothing changes. Raises `AuthError` when it
        does not come to a login, and `BackendError`.
        """
        ...

    async def keep_key(self, key: str) -> LoginState:
        """Keep an API key. Raises `AuthError` when it is not taken, and `BackendError`."""
        ...

    async def sign_out(self) -> LoginState:
        """Forget the login, if there is one; returns what there was. Raises `BackendError`."""
        ...

    async def close(self) -> None:
        """Release what it holds. Idempotent."""
        ...


@runtime_checkable
class WithLogin(Protocol):
    """A backend that has a login of its own."""

    async def login(self) -> Login:
        """The login of its configuration; the backend itself need not be started. Raises `BackendError`."""
        ...
