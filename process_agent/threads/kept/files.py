"""Files of threads that go with the last thread that speaks of them; see `threads.room_files` for which.

What goes is told by the files that messages have and agents showed, path by path. That another thread speaks
of one is seen more widely: any mention of its folder, in an address or in words, keeps it.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import suppress
from typing import Any, Final
from urllib.parse import unquote

import pyarrow as pa

from process_agent.core.room import Datasets, TableRef
from process_agent.core.room_ports import RoomFiles
from process_agent.errors import RoomRequestError
from process_agent.threads.kept.looking import Counted
from process_agent.threads.kept.rows import all_rows
from process_agent.threads.paths import NOT_FOUND
from process_agent.threads.room_files import folder_of

_FOLDER: Final = re.compile(r"uploads/[^/\s\"'<>)\]]+|agents/[^/\"'<>\n]{1,200}/files/[^/\s\"'<>)\]]+")
_HINTS: Final = ("uploads", "files")

_GONE: Final = (NOT_FOUND, 3001)
"""The room's error numbers for what is not there, the second in its storage."""

LOOK_PAUSE: Final = 0.02
"""Seconds between two pages of rows that are looked at while an agent works."""


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


async def folders_of(datasets: Datasets, ref: TableRef, counted: Counted, pause: float = 0.0) -> set[str]:
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
            await asyncio.sleep(pause)
    except RoomRequestError as error:
        if error.code != NOT_FOUND:
            raise
    return found


async def unused(
    datasets: Datasets,
    folders: Iterable[str],
    others: Iterable[TableRef],
    counted: Counted,
    pause: float = 0.0,
) -> set[str]:
    """Those of these folders that no other thread speaks of; of nothing is it known when `counted` is enough
    then, for not all rows were read. Raises `RoomError`.
    """
    left = set(folders)
    for ref in others:
        if not left or counted.enough:
            break
        left -= await folders_of(datasets, ref, counted, pause)
    return left


async def remove(files: RoomFiles, paths: Iterable[str]) -> AsyncIterator[str]:
    """Remove files, and the folder of each if nothing else is in it; the path of each file. One that is gone
    already is passed over. Raises `RoomError`.
    """
    for path in sorted(paths):
        try:
            await files.delete(path)
        except RoomRequestError as error:
            if error.code not in _GONE:
                raise
        else:
            yield path
        with suppress(RoomRequestError):  # there is more in it, or the room keeps no empty folders
            await files.delete(folder_of(path))
