"""An SMTP server in the test's event loop, with the tempers a test wants."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any

from aiosmtpd.smtp import SMTP, AuthResult, LoginPassword

from process_agent.channels.mail.message import Mail
from process_agent.channels.mail.parse import parse_mail


@dataclass(frozen=True)
class Received:
    """A mail the server took."""

    sender: str
    recipients: tuple[str, ...]
    data: bytes
    login: str | None
    tls: bool

    @property
    def mail(self) -> Mail:
        return parse_mail(self.data)


@dataclass
class SmtpRoom:
    """What the server took, in order. `answers` are given to the next mails instead of taking them;
    `refused` are recipients it does not know.
    """

    port: int = 0
    mails: list[Received] = field(default_factory=list)
    tries: int = 0
    answers: list[str] = field(default_factory=list)
    refused: dict[str, str] = field(default_factory=dict)
    users: dict[str, str] = field(default_factory=dict)
    _news: asyncio.Event = field(default_factory=asyncio.Event)

    async def mail(self, number: int) -> Received:
        """The mail of this number, counted from 0, once it is there."""
        await self.until(lambda: len(self.mails) > number)
        return self.mails[number]

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait until something that came made the condition true."""
        while not condition():
            self._news.clear()
            await self._news.wait()

    # --- Called by aiosmtpd ----------------------------------------------------------------------

    async def handle_RCPT(self, server: Any, session: Any, envelope: Any, address: str, options: Any) -> str:
        if address in self.refused:
            return self.refused[address]
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        self.tries += 1
        self._news.set()
        if self.answers:
            return self.answers.pop(0)
        login = session.auth_data.login.decode() if session.auth_data else None
        recipients = tuple(envelope.rcpt_tos)
        tls = session.ssl is not None
        self.mails.append(Received(envelope.mail_from, recipients, envelope.content, login, tls))
        return "250 OK"

    def authenticate(self, server: Any, session: Any, envelope: Any, mechanism: str, data: Any) -> AuthResult:
        assert isinstance(data, LoginPassword)
        known = self.users.get(data.login.decode()) == data.password.decode()
        return AuthResult(success=known, handled=False, auth_data=data)


@contextlib.asynccontextmanager
async def smtp_server(
    *, users: dict[str, str] | None = None, tls: ssl.SSLContext | None = None, port: int = 0
) -> AsyncIterator[SmtpRoom]:
    """A server on loopback; with `users` it wants a login, with `tls` it wants STARTTLS."""
    room = SmtpRoom(users=users or {})
    loop = asyncio.get_running_loop()

    def protocol() -> SMTP:
        return SMTP(
            room,
            hostname="mail.test",
            ident="test",
            loop=loop,
            authenticator=room.authenticate,
            auth_required=bool(users),
            auth_require_tls=tls is not None,
            tls_context=tls,
            require_starttls=tls is not None,
        )

    server = await loop.create_server(protocol, "127.0.0.1", port)
    room.port = server.sockets[0].getsockname()[1]
    try:
        yield room
    finally:
        server.close()
        server.abort_clients()
        await server.wait_closed()
