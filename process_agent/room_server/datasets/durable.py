"""On disk means on disk: Lance renames its files into place and leaves flushing them to the system.

After a loss of power the newest manifest could be empty, and with it the whole table unreadable. So each
write flushes what it made (0.2 ms a file) before it is answered, and a table whose newest manifest is torn
is taken back to the version before.
"""

from __future__ import annotations

import contextlib
import logging
import os
from pathlib import Path
from typing import Final

import lance

logger = logging.getLogger(__name__)

_MAGIC: Final = b"LANC"
"""Last bytes of every complete Lance file."""

_BOOT_ID: Final = Path("/proc/sys/kernel/random/boot_id")
_LAST_NAME: Final = (1 << 64) - 1
"""Manifests are named by this minus their version, so that the newest sorts first."""


def sync_version(after: lance.LanceDataset, path: Path, before: lance.LanceDataset | None = None) -> None:
    """Flush the files version `after` has and `before` had not."""
    known = set() if before is None else _files(before)
    files = sorted(_files(after) - known)
    files.append(f"_versions/{_LAST_NAME - after.version:020d}.manifest")
    for name in files:
        _sync(path / name)
    for folder in {path / name for name in ("_versions", *(name.split("/", 1)[0] for name in files))}:
        _sync(folder)


def sync_indexes(dataset: lance.LanceDataset, path: Path) -> None:
    """Flush the files of all indexes, which a version names and `sync_version` does not know."""
    folders = [
        path / "_indices" / str(part.uuid) for each in dataset.describe_indices() for part in each.segments
    ]
    for folder in folders:
        for file in folder.glob("*"):
            _sync(file)
        _sync(folder)
    if folders:
        _sync(path / "_indices")


def sync_folder(folder: Path) -> None:
    """Flush the names in a folder."""
    _sync(folder)


def write_file(path: Path, data: bytes) -> None:
    """Write a file that is on disk on return."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    _sync(path)
    sync_folder(path.parent)


def boot_id() -> str:
    """What identifies this start of the machine; empty where the system does not say."""
    try:
        return _BOOT_ID.read_text("ascii").strip()
    except OSError:
        return ""


def mend(path: Path) -> None:
    """Set aside versions that a loss of power left incomplete, newest first."""
    manifests = sorted((path / "_versions").glob("*.manifest"))
    while len(manifests) > 1 and not _whole(path, manifests[0]):
        torn = manifests.pop(0)
        logger.warning("a table lost its newest version to an incomplete write: %s", path.name)
        torn.rename(torn.with_suffix(".torn"))
        with contextlib.suppress(FileNotFoundError):
            (path / "_versions" / "latest_version_hint.json").unlink()


def _whole(path: Path, manifest: Path) -> bool:
    if not _complete(manifest):
        return False
    dataset = lance.dataset(str(path), version=_LAST_NAME - int(manifest.stem))
    return all(_complete(path / name) for name in _files(dataset) if name.endswith(".lance"))


def _files(dataset: lance.LanceDataset) -> set[str]:
    names: set[str] = set()
    for fragment in dataset.get_fragments():
        names.update(f"data/{file.path}" for file in fragment.metadata.files)
        deleted = fragment.deletion_file()
        if deleted:
            names.add(deleted)
    return names


def _sync(path: Path) -> None:
    with contextlib.suppress(FileNotFoundError):
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _complete(written: Path) -> bool:
    if not written.is_file():
        return False
    with written.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        if size < len(_MAGIC):
            return False
        file.seek(-len(_MAGIC), os.SEEK_END)
        return file.read() == _MAGIC
