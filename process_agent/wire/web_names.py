"""Host and Origin of a request: under which name a server was reached, and whose page sent it. Pure.

A browser sends what any page tells it to, also to servers on loopback. A name server can make a foreign name
mean 127.0.0.1, which the Host header gives away; the Origin header names the site of the page.
"""

from __future__ import annotations

from ipaddress import ip_address
from urllib.parse import urlsplit

from process_agent.errors import AuthError

_LOOPBACK = frozenset({"127.0.0.1", "localhost", "[::1]"})
_ANY_ADDRESS = frozenset({"0.0.0.0", "::", "[::]"})  # noqa: S104 - compared with, not bound to


def is_loopback(host: str) -> bool:
    """Whether a server bound to `host` is reached from this machine only."""
    if host == "localhost":
        return True
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def reachable(host: str) -> str:
    """A name, as it stands in an address, under which this machine reaches a server bound to `host`."""
    if host in ("0.0.0.0", ""):  # noqa: S104 - compared with, not bound to
        return "127.0.0.1"
    if host == "::":
        return "[::1]"
    return f"[{host}]" if ":" in host else host


def check_host(host_header: str | None, bound_to: str) -> None:
    """Refuse requests that a name server sent here under a foreign name. Raises `AuthError`.

    On loopback only loopback names pass, on one address that address too, on all addresses every name.
    """
    name, _ = _split_host(host_header or "")
    if bound_to in _ANY_ADDRESS or name in _LOOPBACK or name in (bound_to.lower(), f"[{bound_to}]"):
        return
    raise AuthError(f"This server does not answer to the name {name!r}.")


def check_origin(origin: str | None, host_header: str | None, *, required: bool) -> None:
    """Refuse what another site's page sends. Raises `AuthError`.

    Programs send no Origin; `required` is for what only a page may do.
    """
    if origin is None and not required:
        return
    if origin is None or origin.lower() not in (
        f"http://{host_header}".lower(),
        f"https://{host_header}".lower(),
    ):
        raise AuthError("The request comes from another site.")


def is_loopback_page(origin: str) -> bool:
    """Whether a page of this origin was served by this machine."""
    try:
        host = urlsplit(origin).hostname
    except ValueError:
        return False
    return host is not None and is_loopback(host)


def _split_host(header: str) -> tuple[str, str]:
    if header.startswith("["):
        name, _, rest = header.partition("]")
        if rest and not rest.startswith(":"):  # [::1].example.org
            return header.lower(), ""
        return f"{name}]".lower(), rest.removeprefix(":")
    name, _, port = header.partition(":")
    return name.lower(), port
