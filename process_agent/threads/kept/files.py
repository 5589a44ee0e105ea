"""Files of the room that threads refer to: what people attached, and what agents showed.

They lie in folders of their own: `uploads/ID` has one attached file, `agents/NAME/files/ID` what was shown in
one thread. A folder goes when the last thread that speaks of it does.
"""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Iterable, Iterator
from typing import Any, Final
from urllib.parse import unquote

import pyarrow as pa

from process_agent.core.room import Datasets, TableRef
from process_agent.core.room_ports import RoomFiles
from process_agent.errors import RoomRequestError
from process_agent.threads.kept.looking import Counted
from process_agent.threads.kept.rows import all_rows
from process_agent.threads.paths import NOT_FOUND

_FOLDER: Final = re.compile(r"uploads/[^/\s\"'<>)\]]+|agents/[^/\"'<>\n]{1,200}/files/[^/\s\"'<>)\]]+")
_HINTS: Final = ("uploads", "files")

MAX_FILES: Final = 1_000
"""Files of one folder that are removed."""


def folders_in(data: str) -> Iterator[str]:
    """The folders that a row speaks of, in addresses or in words."""
    if not any(hint in data for hint in _HINTS):
        return
    try:
        message = json.loads(data)
    except ValueError:
        message = data
    for text in _texts(message):
        if any(hint in text for hint in _HINTS):
            yield from _FOLDER.findall(unquote(text))


def _texts(value: Any) -> Iterator[str]:
    match value:
        case str():
            yield value
        case dict():
            for name, each in value.items():
                yield name
                yield from _texts(each)
        case list():
            for each in value:
                yield from _texts(each)


async def folders_of(datasets: Datasets, ref: TableRef, counted: Counted) -> set[str]:
    """The folders that a thread speaks of; fewer when enough rows were read. Raises `RoomError`."""
    found: set[str] = set()
    try:
        async for batch in all_rows(datasets, ref, columns=("data",)):
            for data in pa.table(batch).column("data").to_pylist():
                counted.rows += 1
                if isinstance(data, str):
                    found.update(folders_in(data))
            if counted.enough:
                break
    except RoomRequestError as error:
        if error.code != NOT_FOUND:
            raise
    return found


async def unused(
    datasets: Datasets, folders: Iterable[str], others: Iterable[TableRef], most: int
) -> set[str] | None:
    """Those of these folders that no other thread speaks of; None when not all rows could be read."""
    left, counted = set(folders), Counted(most)
    for ref in others:
        if not left:
            break
        left -= await folders_of(datasets, ref, counted)
        if counted.enough:
            return None
    return left


async def remove(files: RoomFiles, folders: Iterable[str]) -> AsyncIterator[str]:
    """Remove the files of these folders; the path of each. One that is gone already is passed over."""
    for folder in sorted(folders):
        entries = [entry for entry in await files.list(folder) if not entry.folder]
        for entry in entries[:MAX_FILES]:
            path = f"{folder}/{entry.name}"
            try:
                await files.delete(path)
            except RoomRequestError as error:
                if error.code != NOT_FOUND:
                    raise
            else:
                yield path
