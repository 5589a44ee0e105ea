"""The open items of a thread: texts that are being written and tool calls that run. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from process_agent.core import events as e
from process_agent.core.content import ErrorInfo, LogLine
from process_agent.core.events import ThreadEvent
from process_agent.core.ids import ItemId, MessageId
from process_agent.core.redaction import MAX_SHOWN, NOTHING, Covering, Redaction
from process_agent.threads.cuts import safe_cut
from process_agent.threads.rows import PartialText, Stored, stable_id

MAX_LOG = 1 << 20
"""Characters of one tool call's log that are stored; the rest is counted and left out."""

type DeltaKind = type[e.TextDelta] | type[e.ReasoningDelta]


@dataclass(slots=True)
class OpenText:
    """A message or reasoning that is being written.

    `latest` is the event that spoke of it last. The first `stored` characters are in delta rows; up to
    `partial` characters are in partial rows at least. Its first row has the id of its first delta: clients
    that saw that delta live drop the row when they open the thread again, and append everything else.
    """

    item: ItemId
    kind: DeltaKind
    latest: ThreadEvent
    phase: e.Phase = None
    length: int = 0
    stored: int = 0
    partial: int = 0
    redaction: Redaction = NOTHING
    looked: int = 0
    _first_id: MessageId | None = None
    _parts: list[str] = field(default_factory=list)
    _covering: Covering | None = None
    _kept: str = ""
    _fed: int = 0

    def add(self, event: ThreadEvent, text: str, phase: e.Phase) -> None:
        """More text."""
        self.latest = event
        self._first_id = self._first_id or event.message_id
        self.phase = phase or self.phase
        self.length += len(text)
        self._parts.append(text)

    @property
    def text(self) -> str:
        """All of it."""
        if len(self._parts) > 1:
            self._parts = ["".join(self._parts)]
        return self._parts[0] if self._parts else ""

    @property
    def unsaved(self) -> bool:
        """Whether a tick would store anything."""
        return self.length > max(self.stored, self.partial, self.looked)

    def tick(self) -> list[Stored]:
        """A delta row up to a safe cut, and the rest as partial text."""
        rows: list[Stored] = []
        kept = self._final(over=False)
        cut = safe_cut(kept, self.stored)
        if cut > self.stored:
            rows.append(self._delta(kept, self.stored, cut))
            self.stored = cut
        if self.length - len(kept) <= MAX_SHOWN:
            kept += self.text[len(kept) :]
        if len(kept) > max(self.stored, self.partial):
            rows.append(PartialText(self._delta(kept, self.stored, len(kept)), self.stored))
            self.partial = len(kept)
        self.looked = self.length
        return rows

    def _final(self, *, over: bool) -> str:
        """The text as it is stored, as far as it is known: what may be the beginning of a secret is left out
        until the text is `over`.
        """
        if not self.redaction:
            return self.text
        if self._covering is None:
            self._covering = Covering(self.redaction)
        self._kept += self._covering.feed(self.text[self._fed :])
        self._fed = self.length
        if over:
            self._kept += self._covering.finish()
        return self._kept

    def rest(self) -> list[Stored]:
        """What is in no delta row yet, at the end."""
        if self.length <= self.stored:
            return []
        return [self._delta(self._final(over=True), self.stored, self.length)]

    def whole(self) -> list[ThreadEvent]:
        """All text so far as one delta, with the id that its stored form begins with."""
        return [self._delta(self.text, 0, self.length)] if self.length else []

    def ended(self, at: ThreadEvent) -> ThreadEvent:
        """An end for a text that nobody ended, in the frame of `at`."""
        body = e.TextEnded(self.item, self.phase) if self.kind is e.TextDelta else e.ReasoningEnded(self.item)
        return replace(at, message_id=stable_id(at.thread_id, at.turn_id, self.item, "ended"), body=body)

    def _delta(self, of: str, start: int, end: int) -> ThreadEvent:
        text, at = of[start:end], self.latest
        body = (
            e.TextDelta(self.item, text, self.phase)
            if self.kind is e.TextDelta
            else e.ReasoningDelta(self.item, text)
        )
        first = None if start else self._first_id
        return replace(
            at, message_id=first or stable_id(at.thread_id, at.turn_id, self.item, start), body=body
        )


class CoveredLog:
    """The lines of a log without secrets, which may be cut anywhere, within each of its two streams."""

    def __init__(self, redaction: Redaction) -> None:
        self._streams = {"stdout": Covering(redaction), "stderr": Covering(redaction)}
        self._ready = {"stdout": "", "stderr": ""}
        self._fed = 0
        self._lines: list[LogLine] = []

    @property
    def places(self) -> int:
        """How many secrets were covered so far."""
        return sum(covering.places for covering in self._streams.values())

    def lines(self, log: Sequence[LogLine], *, over: bool) -> Sequence[LogLine]:
        """Those that are known, of a log that grows."""
        for line in log[self._fed :]:
            self._ready[line.source] += self._streams[line.source].feed(line.text)
        self._fed = len(log)
        if over:
            for source, covering in self._streams.items():
                self._ready[source] += covering.finish()
        for line in log[len(self._lines) :]:
            ready, size = self._ready[line.source], len(line.text)
            if len(ready) < size:
                break
            self._ready[line.source] = ready[size:]
            self._lines.append(replace(line, text=ready[:size]))
        return self._lines


@dataclass(slots=True)
class OpenTool:
    """A tool call that runs; `started` is its latest start."""

    ref: e.ToolRef
    started: ThreadEvent
    latest: ThreadEvent
    _started_stored: bool = False
    _changed: bool = False
    _lines: list[LogLine] = field(default_factory=list)
    _lines_stored: int = 0
    _looked: int = 0
    _size: int = 0
    _left_out: int = 0
    _first_log_id: MessageId | None = None
    redaction: Redaction = NOTHING
    _log_covered: CoveredLog | None = None

    @classmethod
    def unannounced(cls, event: ThreadEvent, ref: e.ToolRef, redaction: Redaction = NOTHING) -> OpenTool:
        """A call whose start nobody told us of: every reader needs one."""
        message_id = stable_id(event.thread_id, event.turn_id, ref.item_id, "started")
        started = replace(event, message_id=message_id, body=e.ToolStarted(ref, {}))
        return cls(ref, started, event, redaction=redaction)

    def restart(self, event: ThreadEvent) -> None:
        """The arguments changed."""
        self._changed = self._changed or self.started.body != event.body
        self.started = self.latest = event

    def log(self, event: ThreadEvent, lines: tuple[LogLine, ...]) -> None:
        """More output."""
        self.latest = event
        self._first_log_id = self._first_log_id or event.message_id
        for line in lines:
            if self._size + len(line.text) > MAX_LOG:
                self._left_out += len(line.text)
            else:
                self._lines.append(line)
                self._size += len(line.text)

    @property
    def unsaved(self) -> bool:
        """Whether a tick would store anything. Changed arguments wait for the end: they can be large."""
        return not self._started_stored or len(self._lines) > max(self._lines_stored, self._looked)

    def tick(self, *, over: bool = False) -> list[Stored]:
        """What is not stored yet; with `over` nothing follows."""
        rows: list[Stored] = [] if self._started_stored else [self.started]
        self._started_stored = True
        lines = self._final_lines(over=over)
        if len(lines) > self._lines_stored:
            rows.append(self._log(lines, self._lines_stored))
            self._lines_stored = len(lines)
        self._looked = len(self._lines)
        return rows

    def _final_lines(self, *, over: bool) -> Sequence[LogLine]:
        """The log as it is stored, as far as it is known; see `OpenText`."""
        if not self.redaction:
            return self._lines
        if self._log_covered is None:
            self._log_covered = CoveredLog(self.redaction)
        return self._log_covered.lines(self._lines, over=over)

    def rest(self) -> list[Stored]:
        """What is left to store before the end."""
        if self._left_out:
            self._lines.append(LogLine(f"\n… {self._left_out:,} more characters are not stored\n"))
            self._left_out = 0
        again: list[Stored] = [self.started] if self._changed and self._started_stored else []
        self._changed = False
        return again + self.tick(over=True)

    def whole(self) -> list[ThreadEvent]:
        """The call so far: its start, and its log in one piece."""
        return [self.started, *([self._log(self._lines, 0)] if self._lines else [])]

    def ended(self, at: ThreadEvent, reason: e.EndReason) -> ThreadEvent:
        """An end for a call that nobody ended, in the frame of `at`, with a code of the published agent."""
        body = e.ToolEnded(self.ref, error=_unfinished(reason))
        message_id = stable_id(at.thread_id, at.turn_id, self.ref.item_id, "ended")
        return replace(at, message_id=message_id, body=body)

    def _log(self, lines: Sequence[LogLine], start: int) -> ThreadEvent:
        at, first = self.latest, None if start else self._first_log_id
        message_id = first or stable_id(at.thread_id, at.turn_id, self.ref.item_id, "log", start)
        return replace(at, message_id=message_id, body=e.ToolLog(self.ref, tuple(lines[start:])))


def failed_image(item: ItemId, at: ThreadEvent, reason: e.EndReason) -> ThreadEvent:
    """An end for an image that nobody ended, in the frame of `at`."""
    message_id = stable_id(at.thread_id, at.turn_id, item, "ended")
    return replace(at, message_id=message_id, body=e.ImageFailed(item, _unfinished(reason)))


def _unfinished(reason: e.EndReason) -> ErrorInfo:
    code = {e.EndReason.INTERRUPTED: "cancelled", e.EndReason.FAILED: "failed"}.get(reason, "incomplete")
    return ErrorInfo("The turn ended before this did.", code)
