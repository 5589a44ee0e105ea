"""When Codex shortens what its model remembers: items `contextCompaction`, and the summary (page section 4).

The item does not hold the summary. Where Codex has the model write it, the raw response items do (tried with
0.163.0); where the provider makes it (OpenAI's own), it is encrypted and nobody but the provider can read it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from backends.codex.shapes import dicts
from process_agent.core.events import ContextCompacted

MAX_SUMMARY: Final = 100_000
"""Characters of a summary that are kept."""


class Compactions:
    """The compactions of one turn; `automatic` when nobody asked for them."""

    def __init__(self, *, automatic: bool) -> None:
        self._automatic = automatic
        self._open: str | None = None
        self._summary = ""
        self._done: set[str] = set()

    @property
    def under_way(self) -> bool:
        """Whether one has begun and is not done."""
        return self._open is not None

    def start(self, item_id: str) -> None:
        """It begins: the next message of the model is the summary."""
        self._open = item_id
        self._summary = ""

    def raw(self, item: Mapping[str, Any]) -> bool:
        """Take a raw response item. True when it belongs to a compaction and to nothing else."""
        if self._open is None or item.get("type") != "message" or item.get("role") != "assistant":
            return False
        parts = [part["text"] for part in dicts(item.get("content")) if isinstance(part.get("text"), str)]
        self._summary = "".join(parts)
        return True

    def complete(self, item_id: str) -> list[ContextCompacted]:
        """It is done."""
        if item_id in self._done:
            return []
        self._done.add(item_id)
        summary = self._summary[:MAX_SUMMARY] or None
        self._open, self._summary = None, ""
        return [ContextCompacted(item_id, self._automatic, summary)]

    def announced(self, turn: str) -> list[ContextCompacted]:
        """The older notification `thread/compacted`: news only where no item tells of it."""
        return [] if self._done or self._open is not None else self.complete(f"{turn}:compacted")
