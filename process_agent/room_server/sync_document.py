"""A synchronised document that somebody has open: merging, relaying, keeping."""

from __future__ import annotations

import asyncio
import base64
import binascii
from collections import deque
from collections.abc import Callable
from typing import Any, Final

from pycrdt import Doc, merge_updates

from process_agent.room_server import sync_json
from process_agent.room_server.sync_log import Log
from process_agent.room_server.toolkit import INVALID_STATE, PERMISSION_DENIED, ToolError

MAX_UPDATE: Final = 16 * 1024 * 1024
"""Bytes of one update."""

MAX_DOCUMENT: Final = 64 * 1024 * 1024
"""Bytes of a document's state; further updates are refused."""

MAX_WAITING: Final = 32 * 1024 * 1024
"""Bytes of updates one opener may be behind; then its stream ends and it opens again."""

_COMPACT_BYTES: Final = 256 * 1024
"""Growth of a log beyond twice the document at which it is written anew."""


class Opener:
    """One stream that has the document open: updates of others wait here for it."""

    def __init__(self, *, read_only: bool) -> None:
        self.read_only = read_only
        self._updates: deque[bytes] = deque()
        self._bytes = 0
        self._wake = asyncio.Event()
        self._closed = False
        self._error: ToolError | None = None

    def add(self, update: bytes) -> None:
        """Queue an update."""
        self._bytes += len(update)
        if self._bytes > MAX_WAITING:
            self._updates.clear()
            self.fail(
                ToolError("this stream fell too far behind; open the document again", code=INVALID_STATE)
            )
            return
        self._updates.append(update)
        self._wake.set()

    def fail(self, error: ToolError) -> None:
        """End the stream with an error."""
        self._error = self._error or error
        self._wake.set()

    def close(self) -> None:
        """The caller has gone."""
        self._closed = True
        self._wake.set()

    async def next(self) -> bytes | None:
        """The next update, all waiting ones merged; None after `close`. Raises what `fail` was given."""
        while not self._closed:
            if self._error is not None:
                raise self._error
            if self._updates:
                waiting = list(self._updates)
                self._updates.clear()
                self._bytes = 0
                return waiting[0] if len(waiting) == 1 else merge_updates(*waiting)
            self._wake.clear()
            await self._wake.wait()
        return None


class Document:
    """One document in memory. `log` is None for one that is not kept."""

    def __init__(self, path: str, schema: dict[str, Any], log: Log | None) -> None:
        self.path = path
        self.schema = schema
        self.openers: set[Opener] = set()
        self._log = log
        self._doc: Doc[Any] = Doc()
        self._changed: list[bytes] = []
        self._doc.observe(lambda event: self._changed.append(event.update))
        sync_json.root_of(self._doc)
        self._unsaved: list[bytes] = []
        self._writing = asyncio.Lock()
        self.saving = False
        self._log_bytes = 0
        self._taken_bytes = 0

    def load(self, updates: list[bytes], log_bytes: int) -> None:
        """Take what the log held."""
        for update in updates:
            self._doc.apply_update(update)
        self._changed.clear()
        self._log_bytes = self._taken_bytes = log_bytes

    def fill(self, json: dict[str, Any]) -> None:
        """Put the first content into a new document."""
        sync_json.fill(self._doc, self.schema, json)
        self._unsaved.extend(self._changed)
        self._changed.clear()

    def describe(self) -> dict[str, Any]:
        """The document as JSON."""
        return sync_json.to_json(self._doc, self.schema)

    def state(self, vector: str | None) -> bytes:
        """What somebody with this base64 state vector (or nothing) lacks."""
        try:
            known = base64.b64decode(vector, validate=True) if vector else None
            return _guarded(lambda: self._doc.get_update(known))
        except (ValueError, binascii.Error) as error:
            raise ToolError("vector is not a state vector") from error

    def apply(self, data: bytes, source: Opener) -> bool:
        """Merge base64 text of an update and pass on what it changed. False when it changed nothing.

        Clients echo each update they receive; what changes nothing goes nowhere.
        """
        update = _decode(data)
        if source.read_only:
            self._refuse_change(update)
            return False
        self._refuse_growth(len(update))
        _guarded(lambda: self._doc.apply_update(update))
        changed, self._changed[:] = list(self._changed), []
        for change in changed:
            self._unsaved.append(change)
            for opener in self.openers:
                if opener is not source:
                    opener.add(change)
        return bool(changed)

    async def save(self) -> None:
        """Bring the log up to date; it is rewritten when it grew far beyond the document."""
        async with self._writing:
            updates, self._unsaved = self._unsaved, []
            if self._log is None:
                return
            grown = self._log_bytes + sum(map(len, updates))
            state = self.state(None) if grown > _COMPACT_BYTES or not self._log_bytes else b""
            if not self._log_bytes or (state and grown > 2 * len(state) + _COMPACT_BYTES):
                self._log_bytes = await asyncio.to_thread(self._log.write, self.schema, [state])
            elif updates:
                self._log_bytes += await asyncio.to_thread(self._log.append, updates)

    @property
    def unsaved(self) -> bool:
        """Whether the log lacks something."""
        return self._log is not None and (bool(self._unsaved) or not self._log_bytes)

    def _refuse_growth(self, size: int) -> None:
        self._taken_bytes += size
        if self._taken_bytes > MAX_DOCUMENT:
            self._taken_bytes = len(self.state(None)) + size
        if self._taken_bytes > MAX_DOCUMENT:
            raise ToolError(f"a document has at most {MAX_DOCUMENT} bytes")

    def _refuse_change(self, update: bytes) -> None:
        copy: Doc[Any] = Doc()
        copy.apply_update(self._doc.get_update())
        changes: list[object] = []
        copy.observe(changes.append)
        _guarded(lambda: copy.apply_update(update))
        if changes:
            raise ToolError(f"this token may only read {self.path!r}", code=PERMISSION_DENIED)


def _decode(data: bytes) -> bytes:
    if len(data) > MAX_UPDATE * 4 // 3 + 4:
        raise ToolError(f"an update has at most {MAX_UPDATE} bytes")
    try:
        update = base64.b64decode(data, validate=True)
    except (ValueError, binascii.Error) as error:
        raise ToolError("an update must be base64 text") from error
    _guarded(lambda: merge_updates(update))
    return update


def _guarded[T](work: Callable[[], T]) -> T:
    """Run native code on bytes from outside: what it cannot read is the caller's mistake, panics included."""
    try:
        return work()
    except ValueError as error:
        raise ToolError(f"not a document update: {error}") from error
    except BaseException as error:
        if type(error).__name__ != "PanicException":
            raise
        raise ToolError("not a document update") from error
