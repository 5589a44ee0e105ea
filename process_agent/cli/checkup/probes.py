"""Looking at things: each probe asks one, within a time limit, and brings facts. None changes anything."""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
import ssl
import stat
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from email.utils import parsedate_to_datetime
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Final

from process_agent.cli.checkup.facts import (
    Asked,
    DataFolder,
    Disk,
    Endpoint,
    Installation,
    LocalServer,
    plain_address,
)
from process_agent.config import DEFAULT_PORT, DataPaths

if TYPE_CHECKING:
    import httpx

    from process_agent.core.providers import ModelProvider

ASK_SECONDS: Final = 8.0
"""How long a server has to answer a small question."""

EXTRAS: Final[Mapping[str, tuple[str, ...]]] = {
    "local": ("starlette", "uvicorn", "websockets", "lance", "duckdb", "pycrdt"),
    "codex": ("codex_cli_bin",),
    "mail": ("aiosmtplib", "markdown_it"),
    "mcp": ("mcp",),
    "web": ("markdownify",),
}
"""Modules by the extra of the package that brings them."""


def installation() -> Installation:
    """Python, this package and its extras; nothing is imported."""
    missing = [name for name, modules in EXTRAS.items() if not all(map(find_spec, modules))]
    major, minor, micro = sys.version_info[:3]
    return Installation((major, minor, micro), sys.executable, version("process-agent"), tuple(missing))


def client() -> httpx.AsyncClient:
    """Asks servers, as the agent does: with the system's certificates and proxies, without redirects."""
    import httpx

    return httpx.AsyncClient(timeout=ASK_SECONDS, follow_redirects=False, verify=ssl.create_default_context())


async def ask(http: httpx.AsyncClient, url: str, headers: Mapping[str, str] | None = None) -> Asked:
    """One GET. The answer is not read beyond its head: nothing in it is needed."""
    import httpx

    address, began = plain_address(url), time.monotonic()
    try:
        async with asyncio.timeout(ASK_SECONDS), http.stream("GET", url, headers=headers) as answer:
            taken = time.monotonic() - began
            return Asked(address, answer.status_code, None, taken, _skew(answer.headers.get("date"), taken))
    except TimeoutError:
        return Asked(address, error=f"no answer within {ASK_SECONDS:g} s")
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        return Asked(address, error=_plain(error))


def _plain(error: Exception) -> str:
    """What went wrong, without addresses: a proxy's may have a password."""
    from process_agent.core.discretion import without_addresses

    return without_addresses(str(error)) or type(error).__name__


def _skew(date: str | None, taken: float) -> float | None:
    """By how much the server's clock is before ours; half of the time it took is on the way."""
    if date is None:
        return None
    try:
        theirs = parsedate_to_datetime(date).timestamp()
    except ValueError:
        return None
    return theirs + 0.5 - (time.time() - taken / 2)  # its seconds are whole


async def endpoint(http: httpx.AsyncClient, provider: ModelProvider) -> Endpoint:
    """Ask a provider for its list of models, which costs nothing, with the key."""
    headers = {}
    if provider.dialect == "messages":
        url, headers = f"{provider.base_url}/v1/models", {"anthropic-version": "2023-06-01"}
        headers |= {"x-api-key": provider.key} if provider.key else {}
    else:
        url = f"{provider.base_url}/models"
        headers |= {"authorization": f"Bearer {provider.key}"} if provider.key else {}
    asked = await ask(http, url, headers)
    return Endpoint(
        provider.name, asked, provider.key is not None, provider.key_variable, provider.url_variable
    )


def local_server(paths: DataPaths, port: int | None) -> LocalServer:
    """The local room's server, and the port it has or would take."""
    from process_agent.room_server.state import last_port, running

    state = running(paths)
    if state is not None:
        return LocalServer(state.url, state.port)
    wanted = port or last_port(paths) or DEFAULT_PORT
    return LocalServer(None, wanted, _free(wanted))


def _free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def data_folder(paths: DataPaths) -> DataFolder:
    """The data folder as it is. A file is made and removed in one that is there; none is made."""
    root = paths.root
    if not root.exists():
        return DataFolder(root, False, os.access(_existing(root), os.W_OK | os.X_OK))
    try:
        found = root.stat()
        with tempfile.TemporaryFile(dir=root):
            writable = True
    except OSError:
        return DataFolder(root, True, False)
    key = paths.signing_key
    key_mode = stat.S_IMODE(key.stat().st_mode) if key.exists() else None
    ours = found.st_uid == os.getuid()
    return DataFolder(root, True, writable, ours, stat.S_IMODE(found.st_mode), key_mode)


def disks(places: Sequence[tuple[Path, str]]) -> list[Disk]:
    """The file systems below these places, each once, with what is kept there."""
    found: dict[int, Disk] = {}
    for path, use in places:
        here = _existing(path)
        device = here.stat().st_dev
        if device not in found:
            found[device] = Disk(here, use, shutil.disk_usage(here).free)
    return list(found.values())


def _existing(path: Path) -> Path:
    """The path, or the nearest folder above it that exists."""
    return next(each for each in (path, *path.parents) if each.is_dir())
