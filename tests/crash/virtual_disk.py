"""A disk in memory that can lose its power: what was flushed stays, of the rest anything may."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from threading import RLock

from process_agent.room_server.datasets.disk import Disk

REFUSES = OSError(28, "No space left on device")


@dataclass
class _File:
    """Its bytes, what is on disk of them, and what they were since they were flushed."""

    data: bytes = b""
    safe: bytes = b""
    since: list[bytes] = field(default_factory=list)

    def becomes(self, data: bytes) -> None:
        self.data = data
        self.since.append(data)

    def flush(self) -> None:
        self.safe, self.since = self.data, []

    def left(self, random: Random) -> bytes:
        """What a loss of power leaves: behind what is safe any part of what was written, and zeros where it
        had got a place and no bytes yet.
        """
        written = random.choice([self.safe, *self.since])
        end = (
            random.randint(len(self.safe), len(written)) if len(written) > len(self.safe) else len(self.safe)
        )
        zeros = random.randint(len(self.safe), end) if random.random() < 0.3 else end
        return (written[:zeros] + bytes(end - zeros)) if end else b""


class VirtualDisk(Disk):
    """`on_step` is told before every step. The next `refusals` writes or flushes fail."""

    def __init__(self, files: dict[Path, _File] | None = None) -> None:
        self.on_step: Callable[[], None] = lambda: None
        self.refusals = 0
        self._names = files or {}
        self._safe_names = dict(self._names)
        self._open: dict[int, _File] = {}
        self._last = 2
        self._lock = RLock()
        """The log's own thread and the loop write at the same time."""

    def after_power_loss(self, random: Random) -> VirtualDisk:
        """What the machine finds when it starts again."""
        found: dict[Path, _File] = {}
        with self._lock:
            for path in sorted({*self._names, *self._safe_names}):
                names = self._safe_names if random.random() < 0.5 else self._names
                if (file := names.get(path)) is not None:
                    data = file.left(random)
                    found[path] = _File(data, data)
        return VirtualDisk(found)

    def copied(self) -> VirtualDisk:
        """As it is now."""
        with self._lock:
            copy = VirtualDisk()
            copy._names, copy._safe_names = deepcopy((self._names, self._safe_names))
            return copy

    def paths(self, folder: Path, suffix: str) -> Sequence[Path]:
        return sorted(path for path in self._names if path.parent == folder and path.suffix == suffix)

    def read(self, path: Path) -> bytes:
        return self._names[path].data

    def make_folder(self, folder: Path) -> None:
        self._step()

    def create(self, path: Path) -> int:
        with self._lock:
            self._step()
            assert path not in self._names, "names of files are not used twice"
            self._last += 1
            self._names[path] = self._open[self._last] = _File()
            return self._last

    def write(self, descriptor: int, data: bytes | memoryview) -> int:
        with self._lock:
            self._step()
            file, taken = self._open[descriptor], bytes(data)
            if self._refuses():
                file.becomes(file.data + taken[: len(taken) // 2])
                raise REFUSES
            file.becomes(file.data + taken)
            return len(taken)

    def shorten(self, descriptor: int, size: int) -> None:
        with self._lock:
            self._step()
            file = self._open[descriptor]
            file.becomes(file.data[:size])

    def flush(self, descriptor: int) -> None:
        with self._lock:
            self._step()
            if self._refuses():
                raise REFUSES
            self._open[descriptor].flush()

    def close(self, descriptor: int) -> None:
        with self._lock:
            del self._open[descriptor]

    def cut(self, path: Path, size: int) -> None:
        with self._lock:
            self._step()
            file = self._names[path]
            file.becomes(file.data[:size])
            self._step()
            file.flush()

    def copy(self, path: Path, to: Path) -> None:
        raise AssertionError(f"{path} is damaged in the middle")

    def remove(self, path: Path) -> None:
        with self._lock:
            self._step()
            self._names.pop(path, None)

    def sync_names(self, folder: Path) -> None:
        with self._lock:
            self._step()
            inside = [path for path in {*self._names, *self._safe_names} if path.parent == folder]
            for path in inside:
                if path in self._names:
                    self._safe_names[path] = self._names[path]
                else:
                    del self._safe_names[path]

    def _step(self) -> None:
        self.on_step()

    def _refuses(self) -> bool:
        self.refusals -= 1
        return self.refusals >= 0
