"""The end of the file in which Codex records a thread, for what a resumed thread does not tell.

Raw response items come only from threads that were started on this connection (tried with 0.163.0); without
them calls that Codex makes no item of would not be seen, nor what a compaction left. The record has them:
each line is an object, `response_item` lines hold such an item, and a turn's lines come after its
`task_started`. All of it is written before `turn/completed` is said.
"""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any, Final

from backends.codex.shapes import as_dict
from process_agent.errors import WireError
from process_agent.wire import ndjson

logger = logging.getLogger(__name__)

MAX_READ: Final = 32 << 20
"""Bytes that one turn may add between two looks; more is passed over."""

READ_AT: Final = frozenset({"thread/tokenUsage/updated", "turn/completed"})
"""Notifications with which something new is in the record: after each answer of the model, and at the end."""


class Record:
    """Reads what is added to a record from now on. `path` is None where Codex does not say it."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._offset = self._size()
        self._rest = b""
        self._turn: str | None = None

    def plans(self) -> dict[str, dict[str, Any]]:
        """The last plan of each turn, from all of the record: Codex makes no item of plans."""
        self._offset, found = 0, {}
        for line in self._lines():
            payload = as_dict(line.get("payload"))
            if line.get("type") == "event_msg" and payload.get("type") == "task_started":
                self._turn = str(payload.get("turn_id"))
            elif line.get("type") == "response_item" and payload.get("name") == "update_plan" and self._turn:
                found[self._turn] = _arguments(payload)
        return found

    def items(self, turn: str | None) -> list[dict[str, Any]]:
        """The raw response items of a turn that were added since the last call."""
        found = []
        for line in self._lines():
            payload = as_dict(line.get("payload"))
            if line.get("type") == "event_msg" and payload.get("type") == "task_started":
                self._turn = str(payload.get("turn_id"))
            elif line.get("type") == "response_item" and self._turn == turn:
                found.append(payload)
        return found

    def _lines(self) -> list[dict[str, Any]]:
        added = self._rest + self._added()
        *whole, self._rest = added.split(b"\n")
        lines = []
        for line in whole:
            try:
                lines.append(as_dict(ndjson.decode(line)))
            except WireError as error:
                logger.debug("a line of Codex's record cannot be read: %s", error)
        return lines

    def _added(self) -> bytes:
        size = self._size()
        if self._path is None or size <= self._offset:
            return b""
        start, self._offset = self._offset, size
        if size - start > MAX_READ:
            logger.warning("Codex recorded %d bytes at once; calls that failed are not shown", size - start)
            self._rest = b""
            return b""
        try:
            with self._path.open("rb") as file:
                file.seek(start)
                return file.read(size - start)
        except OSError as error:
            logger.warning("Codex's record cannot be read: %s", error)
            return b""

    def _size(self) -> int:
        try:
            return self._path.stat().st_size if self._path is not None else 0
        except OSError:
            return 0


def _arguments(call: dict[str, Any]) -> dict[str, Any]:
    try:
        return as_dict(json.loads(str(call.get("arguments"))))
    except ValueError:
        return {}
