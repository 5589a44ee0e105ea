"""What a command lost while it was beginning, below a guard. Linux only.

A sandbox is several processes, the innermost in a session of its own. Killed at the wrong moment, the outer
ones end before the innermost has asked to end with them (seen with Codex 0.163.0 and the bubblewrap it brings
along): it runs on, nobody knows it, and the guard, which adopts what loses its parent, is its parent now. No
process of a sandbox that works has the guard as its parent.
"""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterator
from pathlib import Path


def end_orphans(guard: int, program: str) -> list[int]:
    """Kill the children of a guard that are of this program (their first argument); their process ids."""
    ended: list[int] = []
    for pid in _children(guard):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            handle = os.pidfd_open(pid)
            try:
                if _is(pid, guard, program):  # asked once it cannot be another process any more
                    signal.pidfd_send_signal(handle, signal.SIGKILL)
                    ended.append(pid)
            finally:
                os.close(handle)
    return ended


def _children(parent: int) -> Iterator[int]:
    try:
        listed = Path(f"/proc/{parent}/task/{parent}/children").read_text()
    except OSError:  # the guard is gone, or the kernel has no such list
        return
    yield from map(int, listed.split())


def _is(pid: int, parent: int, program: str) -> bool:
    try:
        stat = Path(f"/proc/{pid}/stat").read_bytes()
        arguments = Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False
    its_parent = int(stat.rpartition(b")")[2].split()[1])
    return its_parent == parent and arguments.split(b"\0", 1)[0] == os.fsencode(program)
