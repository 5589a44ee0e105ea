"""What the probes of `process doctor` bring home. Secrets stay there: a fact can be printed."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit


@dataclass(frozen=True, slots=True)
class Installation:
    """Python and this package; `missing` are its extras of which something is not installed."""

    python: tuple[int, int, int]
    executable: str
    package: str
    missing: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Asked:
    """One question to a server: the status of the answer, or `error` where there was none.

    `skew` is by how many seconds its clock is before ours, None where it does not say.
    """

    address: str
    status: int | None = None
    error: str | None = None
    seconds: float = 0.0
    skew: float | None = None


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A provider of models and what came of asking for its list of models. The variables are those that hold
    key and address.
    """

    name: str
    asked: Asked
    has_key: bool
    key_variable: str | None
    url_variable: str | None


@dataclass(frozen=True, slots=True)
class LocalServer:
    """The server of the local room, if one runs; else whether the port it would take is free."""

    url: str | None
    port: int
    port_free: bool = True


@dataclass(frozen=True, slots=True)
class DataFolder:
    """The data folder and its signing key, which both may be missing. Modes are permission bits."""

    path: Path
    exists: bool
    writable: bool
    ours: bool = True
    mode: int = 0o700
    key_mode: int | None = None


@dataclass(frozen=True, slots=True)
class Disk:
    """A file system: what is kept there, and free bytes."""

    path: Path
    use: str
    free: int


def plain_address(url: str) -> str:
    """The address without a user, a password, a query or a fragment."""
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    return urlunsplit((parts.scheme, host, parts.path, "", ""))
