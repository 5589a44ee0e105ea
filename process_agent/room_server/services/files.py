"""Where services are kept: below the data folder, one folder each, for the owner's eyes and hands only.

`services/ID/record.json` says what runs, `environment-N.json` has the environment of revision N, `log.txt`
and `log.old.txt` what the agent printed. Who can write here decides what is run, so a folder or record that
others can write is not used.
"""

from __future__ import annotations

import json
import logging
import os
import re
import shutil
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path

from process_agent.config import DataPaths, unusable_folder
from process_agent.errors import ProcessError, UsageError, WireError
from process_agent.services.local import Record, read_record, write_record

logger = logging.getLogger(__name__)

MAX_RECORD_BYTES = 4 * 1024 * 1024
"""Longest record that is read."""

_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


class ServiceFiles:
    """The services of one data folder. Blocking; the files are small."""

    def __init__(self, paths: DataPaths) -> None:
        self.root = paths.root / "services"

    def folder(self, service_id: str) -> Path:
        """Where one service is kept. Raises `WireError` for what is no id."""
        if _ID.fullmatch(service_id) is None:
            raise WireError("This is not the id of a service.")
        return self.root / service_id

    def records(self) -> Iterator[Record]:
        """All that can be used; the others are named in the log."""
        if not self.root.is_dir():
            return
        for folder in sorted(self.root.iterdir()):
            if _ID.fullmatch(folder.name) is None:
                continue
            try:
                yield self._record(folder)
            except (ProcessError, OSError, ValueError) as error:
                logger.error("the service in %s is not used: %s", folder, error)

    def save(self, record: Record, environment: Mapping[str, str] | None = None) -> None:
        """Write a record, and the environment of its current revision if given. Raises `UsageError`."""
        folder = self.folder(record.id)
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            if environment is not None:
                _write(_environment(folder, record.current.number), dict(environment))
            _write(folder / "record.json", write_record(record))
            kept = {_environment(folder, r.number) for r in (record.current, record.previous) if r}
            for file in folder.glob("environment-*.json"):
                if file not in kept:
                    file.unlink()
        except OSError as error:
            raise unusable_folder(folder, error) from error

    def environment(self, record: Record) -> dict[str, str]:
        """The environment of the current revision. Raises `UsageError`, `OSError` and `ValueError`."""
        file = _environment(self.folder(record.id), record.current.number)
        value = json.loads(_read(file))
        if not isinstance(value, dict) or not all(isinstance(text, str) for text in value.values()):
            raise ValueError(f"{file} is damaged")
        return value

    def remove(self, service_id: str) -> None:
        """Remove a service and all that is kept of it, its log too."""
        shutil.rmtree(self.folder(service_id), ignore_errors=True)

    def _record(self, folder: Path) -> Record:
        for place in (self.root, folder):
            _check_private(place)
        record = read_record(json.loads(_read(folder / "record.json")))
        if record.id != folder.name:
            raise WireError("The record is that of another service.")
        return record


def _environment(folder: Path, number: int) -> Path:
    return folder / f"environment-{number}.json"


def _read(file: Path) -> str:
    _check_private(file)
    with open(os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC), encoding="utf-8") as opened:
        return opened.read(MAX_RECORD_BYTES)


def _check_private(place: Path) -> None:
    """Raise `UsageError` for what others could have written."""
    found = place.lstat()
    if found.st_uid != os.getuid() or stat.S_ISLNK(found.st_mode) or stat.S_IMODE(found.st_mode) & 0o022:
        raise UsageError(
            f"{place} can be written by others, or is not yours.", fix=f"Look at it, then chmod go-w {place}."
        )


def _write(file: Path, value: Mapping[str, object]) -> None:
    """Whole or not at all, also when the power goes."""
    draft = file.with_suffix(".new")
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW
    with open(os.open(draft, flags, 0o600), "w", encoding="utf-8") as opened:
        json.dump(value, opened)
        opened.flush()
        os.fsync(opened.fileno())
    draft.replace(file)
