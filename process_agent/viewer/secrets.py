"""What a person's answer to a request for a secret becomes. Pure."""

from __future__ import annotations

from process_agent.core.requests import Secret
from process_agent.viewer.items import AskedSecret

REFUSED = Secret(error="The person who was asked refused.")
NOBODY = Secret(error="Nobody is here to be asked.")


def answer(asked: AskedSecret, value: str) -> Secret:
    """A key or a password as it is; for a login the code that it gave. An empty value refuses."""
    if not value:
        return REFUSED
    login = asked.request.oauth
    if login is None:
        return Secret(value=value)
    redirect = login.get("redirect_uri")
    return Secret(authorization_code=value, redirect_uri=redirect if isinstance(redirect, str) else None)
