"""Sends mail over SMTP, with TLS and a login; one connection for each mail."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from process_agent.errors import MailError, UsageError

if TYPE_CHECKING:
    from aiosmtplib import SMTP

CONNECTIONS = 4
"""Mails on their way at a time."""

COMMAND_SECONDS = 30.0
"""How long the server may take for one command."""

SEND_SECONDS = 120.0
"""How long one attempt may take, from connecting to the server's word that it has the mail."""

TLS_PORT = 465
"""Where servers speak TLS from the first byte."""

type Security = Literal["starttls", "tls", "none"]


@dataclass(frozen=True, slots=True)
class SmtpAccount:
    """A server and how to log in. Without a username nobody logs in. `local_hostname` is how we greet."""

    host: str
    port: int = 587
    security: Security = "starttls"
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    local_hostname: str | None = None


class SmtpSender:
    """See the module. `tls` replaces the system's certificate authorities, which are checked otherwise.

    Raises `UsageError` when the library is not installed.
    """

    def __init__(self, account: SmtpAccount, *, tls: ssl.SSLContext | None = None) -> None:
        self.account = account
        self._tls = tls
        self._places = asyncio.Semaphore(CONNECTIONS)
        require_library()

    async def send(self, sender: str, recipients: Sequence[str], data: bytes) -> Mapping[str, str]:
        """Hand one mail over; returns the recipients the server refused, with its words, when it took the
        mail for others. Raises `MailError`; after one that is not `temporary` trying again is of no use.
        """
        from aiosmtplib import SMTPException

        try:
            async with self._places, asyncio.timeout(SEND_SECONDS):
                return await self._send(sender, recipients, data)
        except (SMTPException, OSError, ValueError) as error:
            raise _mail_error(error, self.account) from error

    async def _send(self, sender: str, recipients: Sequence[str], data: bytes) -> Mapping[str, str]:
        smtp = self._client()
        try:
            await smtp.connect()
            refused, _ = await smtp.sendmail(sender, list(recipients), data)
        finally:
            # The server has the mail, or not: how it says goodbye changes nothing.
            smtp.close()
        return {address: f"{answer.code} {answer.message}" for address, answer in refused.items()}

    def _client(self) -> SMTP:
        from aiosmtplib import SMTP

        account = self.account
        tls = None if account.security == "none" else self._tls or ssl.create_default_context()
        return SMTP(
            hostname=account.host,
            port=account.port,
            username=account.username,
            password=account.password,
            local_hostname=account.local_hostname,
            timeout=COMMAND_SECONDS,
            use_tls=account.security == "tls",
            start_tls=account.security == "starttls",
            tls_context=tls,
        )


def require_library() -> None:
    """Raise `UsageError` when the library for SMTP is not installed."""
    from importlib.util import find_spec

    if find_spec("aiosmtplib") is None:
        raise UsageError(
            "Mail needs a library for SMTP.", fix="Install it: pip install 'process-agent[mail]'."
        )


def _mail_error(error: Exception, account: SmtpAccount) -> MailError:
    """What happened, in words, and whether it may be different later."""
    from aiosmtplib import SMTPRecipientsRefused, SMTPResponseException

    place = f"{account.host}:{account.port}"
    if _is_certificate(error):
        text = f"The certificate of the SMTP server {place} cannot be trusted: {_words(error)}"
        return MailError(text, temporary=False)
    match error:
        case SMTPRecipientsRefused():
            codes = [refused.code for refused in error.recipients]
            words = "; ".join(f"{r.recipient}: {r.code} {r.message}" for r in error.recipients)
            text = f"The SMTP server {place} refused every recipient: {words[:500]}"
            return MailError(text, temporary=any(400 <= code < 500 for code in codes))
        case SMTPResponseException():
            text = f"The SMTP server {place} refused the mail: {error.code} {_words(error)}"
            return MailError(text, temporary=not 500 <= error.code < 600)
        case TimeoutError():
            return MailError(f"The SMTP server {place} took too long.", temporary=True)
        case OSError():
            return MailError(f"The SMTP server {place} cannot be reached: {_words(error)}", temporary=True)
        case _:  # it lacks STARTTLS, a way to log in, or room for so large a mail
            text = f"The SMTP server {place} cannot take the mail: {_words(error)}"
            return MailError(text, temporary=False)


def _is_certificate(error: BaseException | None) -> bool:
    """Whether a certificate that was not trusted is behind an error."""
    while error is not None:
        if isinstance(error, ssl.SSLCertVerificationError):
            return True
        error = error.__cause__ or error.__context__
    return False


def _words(error: Exception) -> str:
    """One bounded line; servers choose these texts."""
    text = str(getattr(error, "message", None) or str(error) or type(error).__name__)
    return " ".join("".join(c if c.isprintable() else " " for c in text[:1000]).split())[:300]
