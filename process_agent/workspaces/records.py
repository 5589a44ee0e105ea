"""What is kept of turns that changed files: one small JSON file each, beside the snapshots."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from process_agent.core.ids import ThreadId, TurnId
from process_agent.errors import WorkspaceError
from process_agent.workspaces.changes import Change, Entry

logger = logging.getLogger(__name__)

MAX_RECORDS: Final = 200
"""Turns of one folder that are kept; of older ones nothing can be shown or taken back."""

type TurnOf = tuple[ThreadId, TurnId]


@dataclass(slots=True)
class TurnRecord:
    """One turn. `unsure` are paths whose content before or after it is not certain, with the reason; `beside`
    are the turns of other threads that ran at the same time; `undone` is 0, or a number that grows with each
    undo of the folder.
    """

    number: int
    thread_id: ThreadId
    turn_id: TurnId
    before: str
    after: str
    changes: tuple[Change, ...]
    unsure: Mapping[str, str] = field(default_factory=dict)
    beside: tuple[TurnOf, ...] = ()
    undone: int = 0

    @property
    def name(self) -> str:
        """How the file and its trees are called."""
        return f"{self.number:08}"


class Records:
    """The turns of one folder, oldest first."""

    def __init__(self, place: Path) -> None:
        self.place = place
        self._all: dict[str, TurnRecord] = {}
        self.modes: dict[str, int] = {}

    def load(self) -> None:
        """Read what is there. A file that cannot be read is passed over with a warning."""
        for path in sorted(self.place.glob("[0-9]*.json")):
            try:
                record = _read(json.loads(path.read_text("utf-8")))
            except (OSError, ValueError, KeyError, TypeError) as error:
                logger.warning("%s is damaged, and its turn cannot be taken back: %s", path, error)
                continue
            self._all[record.name] = record
        modes = self.place / "modes.json"
        if modes.is_file():
            self.modes.update(json.loads(modes.read_text("utf-8")))

    def add(self, record: TurnRecord) -> list[str]:
        """Keep one more. Returns the names of those that had to go."""
        self.save(record)
        self._all[record.name] = record
        (self.place / "modes.json").write_text(json.dumps(self.modes), "utf-8")
        gone = list(self._all)[: max(0, len(self._all) - MAX_RECORDS)]
        for name in gone:
            del self._all[name]
            (self.place / f"{name}.json").unlink(missing_ok=True)
        return gone

    def save(self, record: TurnRecord) -> None:
        """Write one down as it is now. Raises `WorkspaceError`."""
        path = self.place / f"{record.name}.json"
        beside = path.with_suffix(".new")
        try:
            beside.write_text(json.dumps(_written(record)), "utf-8")
            beside.replace(path)
        except OSError as error:
            raise WorkspaceError(f"{path} cannot be written: {error.strerror or error}") from error

    def next_number(self) -> int:
        """The number of the next record."""
        return max((record.number for record in self._all.values()), default=0) + 1

    def next_undo(self) -> int:
        """The number of the next undo."""
        return max((record.undone for record in self._all.values()), default=0) + 1

    def of(self, thread_id: ThreadId) -> list[TurnRecord]:
        """Those of one thread, oldest first."""
        return [record for record in self._all.values() if record.thread_id == thread_id]

    def touching(self, turns: tuple[TurnOf, ...]) -> Iterator[TurnRecord]:
        """Those of some turns."""
        return (r for r in self._all.values() if (r.thread_id, r.turn_id) in turns)


def _written(record: TurnRecord) -> dict[str, Any]:
    return {
        "number": record.number,
        "thread_id": record.thread_id,
        "turn_id": record.turn_id,
        "before": record.before,
        "after": record.after,
        "changes": [[c.path, _entry_written(c.before), _entry_written(c.after)] for c in record.changes],
        "unsure": dict(record.unsure),
        "beside": [list(turn) for turn in record.beside],
        "undone": record.undone,
    }


def _entry_written(entry: Entry | None) -> list[Any] | None:
    return None if entry is None else [entry.mode, entry.blob]


def _read(said: dict[str, Any]) -> TurnRecord:
    return TurnRecord(
        int(said["number"]),
        ThreadId(said["thread_id"]),
        TurnId(said["turn_id"]),
        str(said["before"]),
        str(said["after"]),
        tuple(Change(str(path), _entry(before), _entry(after)) for path, before, after in said["changes"]),
        {str(path): str(why) for path, why in said["unsure"].items()},
        tuple((ThreadId(thread), TurnId(turn)) for thread, turn in said["beside"]),
        int(said["undone"]),
    )


def _entry(said: list[Any] | None) -> Entry | None:
    return None if said is None else Entry(int(said[0]), str(said[1]))
