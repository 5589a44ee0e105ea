"""Threads as JSON lines, which are imported again without loss. Pure.

    {"process": "thread", "version": 1, "path", "name", "created_at", "modified_at", "owner"}
    {"image": {"id", "mime_type", "data"}}                                                   base64
    {"file": {"path", "data"}}                                                               base64
    {"row": {"turn_id", "item_id", "type", "sequence", "timestamp", "data", "attachment"}}   in table order

A file has one thread or several, each begun by its first line. `data` is the message as an object where that
is the same to the letter, else the stored text; `attachment` (base64) only where there is one. Times are ISO
text with microseconds.
"""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from process_agent.core.ids import ThreadId
from process_agent.core.images import image_type
from process_agent.core.room_addresses import room_address
from process_agent.core.store import ThreadEntry
from process_agent.errors import UsageError
from process_agent.threads.index import UNNAMED, iso
from process_agent.threads.kept.rows import StoredRow
from process_agent.threads.room_files import own_path
from process_agent.threads.sequence import LIMIT

VERSION: Final = 1
"""Of the lines that are written."""

MAX_NAME: Final = 1_000
"""Characters of a thread's name, and of an id, that is imported."""

MAX_LINE: Final = 256 << 20
"""Characters of one line that is imported: a row holds a picture at most."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class ThreadLine:
    """The beginning of a thread."""

    entry: ThreadEntry
    owner: str | None = None


@dataclass(frozen=True, slots=True)
class ImageLine:
    """An image of the room that the thread shows."""

    id: str
    mime_type: str
    data: bytes


@dataclass(frozen=True, slots=True)
class FileLine:
    """A file of the room's storage that belongs to the thread."""

    path: str
    data: bytes


type Line = ThreadLine | StoredRow | ImageLine | FileLine


def write(line: Line) -> str:
    """One line, without its end."""
    match line:
        case ThreadLine(entry, owner):
            said: dict[str, Any] = {
                "process": "thread",
                "version": VERSION,
                "path": entry.path,
                "name": entry.name,
                "created_at": iso(entry.created_at),
                "modified_at": iso(entry.modified_at),
                "owner": owner,
            }
        case StoredRow():
            said = {"row": _row(line)}
        case ImageLine(image_id, mime_type, data):
            image = {"id": image_id, "mime_type": mime_type, "data": b64encode(data).decode()}
            said = {"image": image}
        case FileLine(path, data):
            said = {"file": {"path": path, "data": b64encode(data).decode()}}
    return json.dumps(said, separators=(",", ":"))


def _row(row: StoredRow) -> dict[str, Any]:
    fields: dict[str, Any] = {
        "turn_id": row.turn_id,
        "item_id": row.item_id,
        "type": row.type,
        "sequence": row.sequence,
        "timestamp": iso(_EPOCH + row.timestamp * _MICROSECOND),
        "data": _object(row.data),
    }
    return fields | ({} if row.attachment is None else {"attachment": b64encode(row.attachment).decode()})


def _object(data: str) -> Any:
    """The message as an object, if that makes the same text again."""
    try:
        value = json.loads(data)
    except ValueError:
        return data
    return value if isinstance(value, dict) and _text(value) == data else data


def _text(value: dict[str, Any]) -> str:
    return json.dumps(value, separators=(",", ":"))


def read(lines: Iterable[str]) -> Iterator[Line]:
    """The lines of a file, checked one by one and together. Raises `UsageError` that names the line."""
    numbers: set[int] | None = None
    for number, text in enumerate(lines, start=1):
        if not text.strip():
            continue
        if len(text) > MAX_LINE:
            raise _damaged(number, f"it has more than {MAX_LINE} characters")
        try:
            line = _read(text)
        except (ValueError, TypeError, KeyError, OverflowError) as error:
            raise _damaged(number, str(error) or type(error).__name__) from error
        if isinstance(line, ThreadLine):
            numbers = set()
        elif numbers is None:
            raise _damaged(number, "a file begins with the line of a thread")
        elif isinstance(line, ImageLine | FileLine):
            if numbers:
                raise _damaged(number, "images and files come before rows")
        elif line.sequence in numbers:
            raise _damaged(number, f"the number {line.sequence} is there twice")
        else:
            numbers.add(line.sequence)
        yield line


def _damaged(number: int, why: str) -> UsageError:
    return UsageError(
        f"Line {number} cannot be imported: {why[:300]}.",
        fix="`process threads export --format jsonl` makes such files.",
    )


def _read(text: str) -> Line:
    said = json.loads(text)
    match said:
        case {"process": "thread", "version": int(version)}:
            if version > VERSION:
                raise ValueError(f"its version is {version}, and this program knows {VERSION}: update it")
            return _thread_line(said)
        case {"row": dict(row)}:
            return _stored_row(row)
        case {"image": {"id": str(image_id), "mime_type": str(mime_type), "data": str(data)}}:
            image = b64decode(data, validate=True)
            if image_type(image[:32]) is None or not mime_type.startswith("image/"):
                raise ValueError("it is no PNG, JPEG, GIF or WebP image")
            return ImageLine(_short(image_id, "id"), mime_type, image)
        case {"file": {"path": str(path), "data": str(data)}}:
            if own_path(room_address(path)) != path:
                raise ValueError("its path is none of a file that was attached or shown")
            return FileLine(path, b64decode(data, validate=True))
        case _:
            raise ValueError("it is no thread, row, image or file")


def _thread_line(said: Mapping[str, Any]) -> ThreadLine:
    created, modified = _moment(said["created_at"]), _moment(said["modified_at"])
    owner = said.get("owner")
    name = _short(said.get("name") or UNNAMED, "name")
    return ThreadLine(
        ThreadEntry(ThreadId(_short(said["path"], "path")), name, created, modified),
        None if owner is None else _short(owner, "owner"),
    )


def _stored_row(row: Mapping[str, Any]) -> StoredRow:
    sequence, data, sound = row["sequence"], row["data"], row.get("attachment")
    if not isinstance(sequence, int) or isinstance(sequence, bool) or not 0 <= sequence < LIMIT:
        raise ValueError("its number is none")
    if isinstance(data, dict):
        data = _text(data)
    elif isinstance(data, str):
        json.loads(data)  # what is no JSON raises ValueError
    else:
        raise TypeError("its data is no message")
    turn, kind = row.get("turn_id"), row.get("type")
    return StoredRow(
        None if turn is None else _short(turn, "turn_id"),
        _short(row["item_id"], "item_id"),
        None if kind is None else _short(kind, "type"),
        sequence,
        (_moment(row["timestamp"]) - _EPOCH) // _MICROSECOND,
        data,
        None if sound is None else b64decode(sound, validate=True),
    )


def _short(value: object, what: str) -> str:
    if not isinstance(value, str) or len(value) > MAX_NAME or "\0" in value:
        raise ValueError(f"its {what} is no text of at most {MAX_NAME} characters")
    value.encode()  # columns are UTF-8: half surrogates raise ValueError
    return value


def _moment(value: object) -> datetime:
    if not isinstance(value, str):
        raise TypeError("its time is no text")
    moment = datetime.fromisoformat(value)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
