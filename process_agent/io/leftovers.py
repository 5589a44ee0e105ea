"""Processes that outlived the agent that started them, found and ended by the next one.

A guard (`guard.py`) takes the tree of a child along, as long as it is not killed itself: what a command with
all rights of the user detached can lose its guard, and is nobody's child then. So every agent's children
carry a mark in their environment, a random word that a file in the agent's folder knows together with who
made it. A process is ended only if its environment has the mark of an agent that is gone; a process id that
was given to somebody else has it not.

Linux only; elsewhere nothing is found.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import secrets
import signal
from pathlib import Path
from typing import Final

from process_agent.errors import BackendError

logger = logging.getLogger(__name__)

VARIABLE: Final = "PROCESS_AGENT_MARK"
"""The variable that carries the mark."""

_ROUNDS: Final = 5
"""How often the processes are looked through: one that is being killed may just have started another."""

_PROC: Final = Path("/proc")


class Mark:
    """The mark of this process's children in `folder`. Made by `mark_children`."""

    def __init__(self, record: Path) -> None:
        self._record = record

    @property
    def word(self) -> str:
        """The value of `VARIABLE` for children."""
        return self._record.stem

    def sweep(self) -> int:
        """End everything that carries the mark, this process excepted. Returns how many there were."""
        return _end_all(self.word)

    def remove(self) -> None:
        """Sweep and forget the mark. Idempotent."""
        self.sweep()
        self._record.unlink(missing_ok=True)


def mark_children(folder: Path) -> Mark:
    """A new mark, after ending what the marks of agents that are gone lead to.

    Raises `BackendError` when the folder cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        for record in folder.glob("*.json"):
            _sweep_record(record)
        record = folder / f"{secrets.token_hex(16)}.json"
        owner = {"pid": os.getpid(), "started": _started(os.getpid())}
        half_written = record.with_suffix(".new")  # an agent that starts beside us must not take us for gone
        half_written.write_text(json.dumps(owner))
        half_written.replace(record)
    except OSError as error:
        raise BackendError(f"{folder} cannot be written: {error.strerror or error}.") from error
    return Mark(record)


def _sweep_record(record: Path) -> None:
    try:
        owner = json.loads(record.read_text())
        pid, started = int(owner["pid"]), owner["started"]
    except (OSError, ValueError, KeyError, TypeError):
        pid, started = 0, None
    if pid and started is not None and _started(pid) == started:
        return
    found = _end_all(record.stem)
    if found:
        logger.warning("ended %d processes that an earlier agent had left behind", found)
    record.unlink(missing_ok=True)


def _started(pid: int) -> str | None:
    """When a process was started, in ticks since a boot that is named; None when it is gone or not known."""
    try:
        stat = (_PROC / str(pid) / "stat").read_text()
        boot = (_PROC / "sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return None
    return f"{boot}/{stat.rpartition(')')[2].split()[19]}"


def _end_all(word: str) -> int:
    ended: set[int] = set()
    if not _PROC.is_dir():
        return 0
    for _ in range(_ROUNDS):
        found = {pid for pid in _processes() if _end(pid, word)}
        if not found - ended:
            break
        ended |= found
    return len(ended)


def _processes() -> list[int]:
    return [int(name) for name in os.listdir(_PROC) if name.isdigit() and int(name) != os.getpid()]


def _end(pid: int, word: str) -> bool:
    """Kill a process if it carries the mark. The handle comes first: it stays with the process looked at."""
    try:
        handle = os.pidfd_open(pid)
    except OSError:
        return False
    try:
        environment = (_PROC / str(pid) / "environ").read_bytes().split(b"\0")
        if f"{VARIABLE}={word}".encode() not in environment:
            return False
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(handle, signal.SIGKILL)
    except OSError:  # somebody else's, or just gone
        return False
    else:
        return True
    finally:
        os.close(handle)
