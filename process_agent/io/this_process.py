"""A name for a process, by which others on its machine see whether it is gone (Linux)."""

from __future__ import annotations

import hashlib
import os
import secrets
from pathlib import Path

_PROC = Path("/proc")
_ZOMBIE = "Z"


def name_of_this_process() -> str:
    """Unlike that of any other process. Tells nothing of the machine; elsewhere than on Linux it is a random
    one that nobody finds gone.
    """
    place, started = _place(), _started(os.getpid())
    if place is None or started is None:
        return f"{secrets.token_hex(8)}/0/0"
    return f"{place}/{os.getpid()}/{started}"


def is_gone(name: str) -> bool:
    """Whether a process is known to be gone; False for one on another machine or in another container."""
    place, _, rest = name.partition("/")
    pid, _, started = rest.partition("/")
    if not (pid.isascii() and pid.isdigit() and len(pid) < 10) or place != _place():
        return False
    return _started(int(pid)) != started


def _place() -> str | None:
    """This machine since it was booted, and the part of it whose processes we see."""
    try:
        boot = (_PROC / "sys/kernel/random/boot_id").read_text().strip()
        seen = os.readlink(_PROC / "self/ns/pid")
    except OSError:
        return None
    return hashlib.sha256(f"{boot} {seen}".encode()).hexdigest()[:16]


def _started(pid: int) -> str | None:
    """When a process was started, in ticks; None when it is gone."""
    try:
        fields = (_PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] == _ZOMBIE else fields[19]
