"""Which records of a backend belong to which thread of the room, in a file of the data folder.

A backend's list of records does not tell in which room, by which agent and for whom a record was made; this
file does, so that no room is shown what was said in another. It has one JSON object a line, the last one of
a thread counts, and nothing of what was said but the threads' names.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

from process_agent.core.backend import KeptState
from process_agent.core.ids import ThreadId, TurnId
from process_agent.core.models import ModelChoice
from process_agent.errors import RoomError, UsageError

logger = logging.getLogger(__name__)


@dataclass(slots=True)
class Registered:
    """A thread of the room. `records` are the states that the backend kept with it, one of each record, the
    oldest first; the first `copied` of them belong to the thread that this is a copy of, which it has up to
    the turn `last`. `named` once its record bears its name.
    """

    name: str
    created_at: datetime
    modified_at: datetime
    owner: str | None = None
    model: ModelChoice | None = None
    named: bool = False
    copied: int = 0
    last: TurnId | None = None
    records: list[KeptState] = field(default_factory=list)


class Register:
    """The file, read once; each change is appended at once."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.threads: dict[ThreadId, Registered] = {}
        self._failure: RoomError | None = None

    def load(self) -> None:
        """Read it, and write it anew without what is outdated. Raises `UsageError` when that cannot be."""
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            lines = self._path.read_text("utf-8").splitlines() if self._path.exists() else []
            for line in lines:
                self._take(line)
            # One in which no turn ever ran has no record, and nothing is left of it.
            self.threads = {thread: known for thread, known in self.threads.items() if known.records}
            fresh = self._path.with_suffix(".new")
            with open(fresh, "w", encoding="utf-8", opener=_private) as file:
                file.writelines(_line(thread, known) for thread, known in self.threads.items())
            fresh.replace(self._path)
        except OSError as error:
            raise UsageError(
                f"{self._path} cannot be used: {error.strerror or error}.",
                fix="Choose another data folder with --data-dir.",
            ) from error

    def write(self, thread: ThreadId) -> None:
        """Append what is known of a thread now, or that it is gone. What fails is raised by `check`."""
        try:
            with open(self._path, "a", encoding="utf-8", opener=_private) as file:
                file.write(_line(thread, self.threads.get(thread)))
            self._failure = None
        except OSError as error:
            logger.warning("%s cannot be written: %s", self._path, error.strerror or error)
            self._failure = RoomError(f"{self._path} cannot be written: {error.strerror or error}.")

    def check(self) -> None:
        """Raise `RoomError` when the last change could not be written."""
        if self._failure is not None:
            raise self._failure

    def _take(self, line: str) -> None:
        try:
            entry = json.loads(line)
            thread = ThreadId(str(entry["thread"]))
            if entry.get("gone"):
                self.threads.pop(thread, None)
            else:
                self.threads[thread] = _read(entry)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            # The end of a line that was cut off when the agent was killed.
            logger.warning("a line of %s cannot be read: %s", self._path, error)


def file_name(project: str, room: str, agent_name: str) -> str:
    """The file of an agent in a room, for names that may hold anything."""
    return sha256(json.dumps([project, room, agent_name]).encode()).hexdigest()[:32] + ".jsonl"


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _line(thread: ThreadId, known: Registered | None) -> str:
    entry: dict[str, Any] = {"thread": thread}
    if known is None:
        entry["gone"] = True
    else:
        model = known.model
        entry |= {
            "name": known.name,
            "created_at": known.created_at.isoformat(),
            "modified_at": known.modified_at.isoformat(),
            "owner": known.owner,
            "model": model and [model.backend, model.provider, model.model, model.effort],
            "named": known.named,
            "copied": known.copied,
            "last": known.last,
            "records": [dict(state) for state in known.records],
        }
    return json.dumps(entry, separators=(",", ":")) + "\n"


def _read(entry: Mapping[str, Any]) -> Registered:
    model = entry["model"]
    return Registered(
        str(entry["name"]),
        datetime.fromisoformat(entry["created_at"]),
        datetime.fromisoformat(entry["modified_at"]),
        entry["owner"],
        ModelChoice(*model) if model else None,
        bool(entry["named"]),
        int(entry["copied"]),
        TurnId(entry["last"]) if entry["last"] else None,
        [dict(state) for state in entry["records"]],
    )
