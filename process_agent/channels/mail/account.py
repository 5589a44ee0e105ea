"""Which SMTP server answers go through, from the environment and the room. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from ipaddress import ip_address

from process_agent.channels.mail.message import is_address
from process_agent.config import SmtpSettings
from process_agent.errors import UsageError
from process_agent.io.smtp import TLS_PORT, Security, SmtpAccount

HOSTED_DOMAIN = "mail.meshagent.com"
"""MeshAgent's mail server, when `MESHAGENT_MAIL_DOMAIN` names no other."""

DEFAULT_PORT = 587


@dataclass(frozen=True, slots=True)
class HostedRoom:
    """A room at MeshAgent, whose mail server takes the participant's name and token as a login."""

    participant: str
    token: str = field(repr=False)


def smtp_account(smtp: SmtpSettings, address: str, hosted: HostedRoom | None) -> SmtpAccount:
    """The account for answers from `address`.

    The room's token goes to MeshAgent's own mail server and nowhere else; a password never goes over a
    connection without TLS, but to this machine. Raises `UsageError` with what to set.
    """
    if not is_address(address):
        raise UsageError(f"Mail cannot be sent from {address!r}.", fix="Give an address of ASCII letters.")
    hosted_name = smtp.mail_domain or HOSTED_DOMAIN
    host = smtp.hostname or (hosted_name if hosted is not None else None)
    if host is None:
        raise UsageError(
            "A mail channel has no SMTP server to answer through.",
            fix="Set SMTP_HOSTNAME, and SMTP_USERNAME and SMTP_PASSWORD if it wants a login.",
        )
    username, password = smtp.username, smtp.password
    if hosted is not None and host.lower() == hosted_name.lower():
        username, password = username or hosted.participant, password or hosted.token
    if (username is None) != (password is None):
        missing = "SMTP_PASSWORD" if password is None else "SMTP_USERNAME"
        raise UsageError(f"The login to the SMTP server {host} is not complete.", fix=f"Set {missing} too.")
    port = smtp.port or DEFAULT_PORT
    security = _security(smtp, host, port)
    if security == "none" and password is not None and not is_loopback(host):
        raise UsageError(
            f"SMTP_STARTTLS=false would send the password to {host} for everybody to read.",
            fix="Leave it out, or log in nowhere.",
        )
    domain = address.rpartition("@")[2]
    return SmtpAccount(host, port, security, username, password, smtp.local_hostname or domain)


def _security(smtp: SmtpSettings, host: str, port: int) -> Security:
    if smtp.starttls is None and port == TLS_PORT:
        return "tls"
    if smtp.starttls is None:
        return "none" if is_loopback(host) else "starttls"
    return "starttls" if smtp.starttls else "none"


def is_loopback(host: str) -> bool:
    """Whether a name means this machine."""
    if host.lower() == "localhost":
        return True
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False
