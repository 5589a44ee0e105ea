"""Which tables and branches there are: folders below the room's datasets folder, blocking.

A branch of a namespace is a copy of its tables and of those in its inner namespaces, made of hard links:
Lance never changes a data file, so a branch costs no space until it differs, and neither side can disturb
the other. Tables appear and disappear by renaming a finished folder.
"""

from __future__ import annotations

import json
import os
import shutil
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from process_agent.room_server.datasets.durable import boot_id, mend, sync_folder
from process_agent.room_server.datasets.names import MAIN, Place, TableKey, decode_name, encode_name
from process_agent.room_server.toolkit import ALREADY_EXISTS, INVALID_REQUEST, NOT_FOUND, ToolError

MAX_TABLES: Final = 100_000
"""Tables of one namespace that are listed."""

_RECORD: Final = "branch.json"
_SCRATCH: Final = ".scratch"
_BOOT: Final = ".boot"
_REWRITTEN: Final = "latest_version_hint.json"
"""The one file Lance writes again; it must not be shared between branches."""


@dataclass(frozen=True, slots=True)
class Catalog:
    """The folders of one room."""

    root: Path

    def start(self) -> None:
        """Make the folder, finish what a crash interrupted.

        Only a loss of power tears files, and after it the machine starts anew: within one boot, tables are
        taken as they are, so that a room with many of them opens at once.
        """
        self.root.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(self.root / _SCRATCH, ignore_errors=True)
        boot, noted = boot_id(), self.root / _BOOT
        if boot and noted.is_file() and noted.read_text("utf-8") == boot:
            return
        for table in _tables_below(self.root):
            mend(table)
        noted.write_text(boot, "utf-8")

    def scratch(self) -> Path:
        """A new path on the same file system for something unfinished."""
        folder = self.root / _SCRATCH
        folder.mkdir(parents=True, exist_ok=True)
        return folder / uuid.uuid4().hex

    # Tables

    def tables(self, place: Place) -> list[str]:
        """Names, sorted; an unknown namespace has none."""
        return [decode_name(path.name[2:]) for path in _children(place.folder(self.root), "t.")]

    def exists(self, key: TableKey) -> bool:
        """Whether the table is there."""
        return key.path(self.root).is_dir()

    def publish(self, finished: Path, key: TableKey) -> None:
        """Put a finished table in its place. Raises `ToolError` 1004."""
        target = key.path(self.root)
        if target.exists():
            raise ToolError(f"table {key.label} already exists", code=ALREADY_EXISTS)
        target.parent.mkdir(parents=True, exist_ok=True)
        finished.rename(target)
        sync_folder(target.parent)

    def withdraw(self, key: TableKey) -> Path:
        """Take a table out of sight in one step; `discard` what is returned."""
        gone = self.scratch()
        key.path(self.root).rename(gone)
        sync_folder(key.path(self.root).parent)
        return gone

    def discard(self, folder: Path) -> None:
        """Delete files nobody can name any more."""
        shutil.rmtree(folder, ignore_errors=True)

    def rename(self, key: TableKey, new: TableKey) -> None:
        """Give a table another name."""
        target = new.path(self.root)
        if target.exists():
            raise ToolError(f"table {new.label} already exists", code=ALREADY_EXISTS)
        key.path(self.root).rename(target)
        sync_folder(target.parent)

    # Branches

    def require_branch(self, place: Place) -> None:
        """Raise `ToolError` 1003 unless the branch exists here or in an enclosing namespace."""
        if place.branch == MAIN:
            return
        for depth in range(len(place.namespace), -1, -1):
            outer = Place(place.namespace[:depth], place.branch)
            if (outer.folder(self.root) / _RECORD).is_file():
                return
        raise ToolError(f"branch {place.branch!r} does not exist", code=NOT_FOUND)

    def branches(self, namespace: tuple[str, ...]) -> list[dict[str, Any]]:
        """Branch records of a namespace and the ones around it, `main` first."""
        found: dict[str, dict[str, Any]] = {}
        for depth in range(len(namespace) + 1):
            folder = Place(namespace[:depth]).namespace_folder(self.root)
            for path in _children(folder, "b."):
                record = path / _RECORD
                if record.is_file():
                    found[decode_name(path.name[2:])] = json.loads(record.read_text("utf-8"))
        found.pop(MAIN, None)
        return [{"name": MAIN}, *(found[name] for name in sorted(found))]

    def places_below(self, place: Place) -> Iterator[Place]:
        """The place, and the same branch of each inner namespace, where there is such a folder."""
        if place.folder(self.root).is_dir():
            yield place
        for path in _children(place.namespace_folder(self.root), "n."):
            yield from self.places_below(Place((*place.namespace, decode_name(path.name[2:])), place.branch))

    def begin_branch(self, namespace: tuple[str, ...], branch: str, parent: str) -> Place:
        """Check a new branch. Raises `ToolError`."""
        encode_name(branch, "branch name")
        if branch == MAIN:
            raise ToolError(f"branch {MAIN!r} already exists", code=ALREADY_EXISTS)
        place = Place(namespace, branch)
        if place.folder(self.root).exists():
            raise ToolError(f"branch {branch!r} already exists", code=ALREADY_EXISTS)
        self.require_branch(Place(namespace, parent))
        return place

    def link_table(self, key: TableKey, branch: str) -> None:
        """Put a copy of a table on another branch. The caller keeps writers away."""
        copy = self.scratch()
        _link_tree(key.path(self.root), copy)
        self.publish(copy, TableKey(key.place.on(branch), key.name))

    def finish_branch(self, place: Place, parent: str) -> None:
        """Make a branch whose tables are all there known."""
        folder = place.folder(self.root)
        folder.mkdir(parents=True, exist_ok=True)
        record = {
            "name": place.branch,
            "parent_branch": parent,
            "created_at": datetime.now(UTC).isoformat(),
        }
        unfinished = folder / f".{_RECORD}"
        unfinished.write_text(json.dumps(record), "utf-8")
        unfinished.rename(folder / _RECORD)
        sync_folder(folder)

    def delete_branch(self, place: Place) -> None:
        """Remove a branch of a namespace and of its inner namespaces."""
        if place.branch == MAIN:
            raise ToolError(f"branch {MAIN!r} cannot be deleted", code=INVALID_REQUEST)
        if not place.folder(self.root).is_dir():
            raise ToolError(f"branch {place.branch!r} does not exist", code=NOT_FOUND)
        for part in list(self.places_below(place)):
            gone = self.scratch()
            part.folder(self.root).rename(gone)
            self.discard(gone)


def _tables_below(folder: Path) -> Iterator[Path]:
    for branch in _children(folder, "b."):
        yield from _children(branch, "t.")
    for namespace in _children(folder, "n."):
        yield from _tables_below(namespace)


def _children(folder: Path, prefix: str) -> list[Path]:
    try:
        with os.scandir(folder) as entries:
            names = sorted(entry.name for entry in entries if entry.name.startswith(prefix))
    except FileNotFoundError:
        return []
    return [folder / name for name in names[:MAX_TABLES]]


def _link_tree(source: Path, target: Path) -> None:
    for folder, _, names in os.walk(source):
        inner = target / Path(folder).relative_to(source)
        inner.mkdir(parents=True, exist_ok=True)
        for name in names:
            _link(Path(folder) / name, inner / name)


def _link(source: Path, target: Path) -> None:
    if source.name == _REWRITTEN:
        shutil.copy2(source, target)
        return
    try:
        os.link(source, target)
    except FileNotFoundError:
        return  # a cleaned-up old version; nothing newer names this file
    except OSError:
        shutil.copy2(source, target)  # a file system without hard links
