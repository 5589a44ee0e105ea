"""Files that people attach, fetched before a backend sees them.

A backend gets small ones as `data:` URLs, and of all of them the path of a copy that commands can read; it
knows nothing of rooms. What cannot be fetched stays in the message as a line that says so, for the model and
for whoever reads the thread's answer.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import contextlib
import logging
import mimetypes
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from urllib.parse import unquote_to_bytes

from process_agent.agent.shelf import Shelf
from process_agent.core.attached import is_image
from process_agent.core.backend import HistoryItem, MadeImages, UserMessage
from process_agent.core.content import ContentPart, FilePart, TextPart
from process_agent.core.ids import ThreadId
from process_agent.core.images import id_of
from process_agent.core.room_addresses import is_room_address, path_at
from process_agent.core.room_ports import RoomFiles, RoomImages
from process_agent.errors import RoomError, RoomRequestError, ToolFailedError

logger = logging.getLogger(__name__)

MAX_FILES = 20
"""Files of one message that are fetched."""

MAX_BYTES = 6 * 1024 * 1024
"""Largest file that is given to a backend itself; as base64 it stays below what model providers take."""

MAX_COPY = 64 * 1024 * 1024
"""Largest file of which a copy is kept."""

MAX_TOTAL = 4 * MAX_BYTES
"""Bytes of all files of one message that are given to a backend themselves."""

MAX_RECALLED = 4
"""Images of a thread that were said or made before and are fetched, the newest."""

MAX_COPIES = 4 * MAX_COPY
"""Bytes of all copies of one message."""

FETCH_SECONDS = 60.0
"""How long one file may take, or all images of before."""


@dataclass(slots=True)
class _Left:
    """What one message may still have."""

    files: int = MAX_FILES
    given: int = MAX_TOTAL
    copied: int = MAX_COPIES


@dataclass(frozen=True, slots=True)
class Attachments:
    """Fetches the files of messages; without `files` and `images` there is no room to fetch them from,
    without `shelf` no copies are kept.
    """

    files: RoomFiles | None
    shelf: Shelf | None = None
    images: RoomImages | None = None

    async def resolve(self, thread_id: ThreadId, content: tuple[ContentPart, ...]) -> tuple[ContentPart, ...]:
        """The message with its files as a backend gets them."""
        left = _Left(MAX_FILES, MAX_TOTAL, MAX_COPIES)
        found: list[ContentPart] = []
        for part in content:
            if isinstance(part, FilePart) and (is_room_address(part.url) or id_of(part.url) is not None):
                found.append(await self._fetched(thread_id, part, left))
            elif isinstance(part, FilePart) and part.url[:5].lower() == "data:":
                found.append(await self._copied(thread_id, part, left))
            else:
                found.append(part)
        return tuple(found)

    async def recalled(self, thread_id: ThreadId, history: Sequence[HistoryItem]) -> Sequence[HistoryItem]:
        """What was said and made before, with the paths of copies that are still there, and with the newest
        images of the room as a backend gets them.
        """
        found = await self._images_of(history)
        return [
            replace(item, content=tuple(self._recalled(thread_id, part, found) for part in item.content))
            if isinstance(item, UserMessage | MadeImages)
            else item
            for item in history
        ]

    async def forget(self, thread_id: ThreadId) -> None:
        """The thread is gone, and its copies go too."""
        if self.shelf is not None:
            await self.shelf.forget(thread_id)

    def _recalled(self, thread_id: ThreadId, part: ContentPart, found: Mapping[str, str]) -> ContentPart:
        if not isinstance(part, FilePart):
            return part
        path = None if self.shelf is None else self.shelf.find(thread_id, part.url, _name_of(part))
        return replace(part, url=found.get(part.url, part.url), path=path)

    async def _images_of(self, history: Sequence[HistoryItem]) -> Mapping[str, str]:
        """The newest images of the room in what was said and made before, as `data:` URLs by address. One
        that cannot be fetched now is not looked at, and nothing waits for it.
        """
        found: dict[str, str] = {}
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(FETCH_SECONDS):
                for part in _newest_images(history):
                    with contextlib.suppress(RoomError):
                        data, kind = await self._read(part.url, MAX_BYTES)
                        found[part.url] = _data_url(kind or _kind_of(_name_of(part)), data)
        return found

    async def _fetched(self, thread_id: ThreadId, part: FilePart, left: _Left) -> ContentPart:
        """A file of the room."""
        name = _name_of(part)
        left.files -= 1
        limit = min(left.given, MAX_BYTES) if self.shelf is None else min(left.copied, MAX_COPY)
        if self.files is None and self.images is None:
            return _unreadable(name, "this agent is in no room that keeps files")
        if left.files < 0 or limit <= 0:
            return _unreadable(name, _too_many(self.shelf is not None))
        try:
            async with asyncio.timeout(FETCH_SECONDS):
                data, kind = await self._read(part.url, limit)
        except RoomError as error:
            return _unreadable(name, str(error))
        except TimeoutError:
            return _unreadable(name, f"the room did not send it within {FETCH_SECONDS:.0f} s")
        path = await self._copy(thread_id, part.url, name, data, left)
        small = len(data) <= min(left.given, MAX_BYTES)
        if not small and path is None:
            return _unreadable(name, _too_many(False))
        left.given -= len(data) if small else 0
        return FilePart(_data_url(kind or _kind_of(name), data) if small else part.url, name, path)

    async def _read(self, url: str, limit: int) -> tuple[bytes, str | None]:
        """A file of the room, or an image of its table, with its kind if that is known."""
        if id_of(url) is not None and self.images is not None:
            image = await self.images.read(url, limit)
            return image.data, image.mime_type
        if self.files is None or id_of(url) is not None:
            raise RoomRequestError("this room keeps nothing of the kind")
        return await self.files.read(path_at(url), limit), None

    async def _copied(self, thread_id: ThreadId, part: FilePart, left: _Left) -> ContentPart:
        """A file that came with the message."""
        left.files -= 1
        data = _decoded(part.url)
        if data is None or left.files < 0 or len(data) > min(left.copied, MAX_COPY):
            return part
        return replace(part, path=await self._copy(thread_id, part.url, _name_of(part), data, left))

    async def _copy(self, thread_id: ThreadId, url: str, name: str, data: bytes, left: _Left) -> str | None:
        if self.shelf is None:
            return None
        left.copied -= len(data)
        try:
            return await self.shelf.keep(thread_id, url, name, data)
        except (OSError, ToolFailedError) as error:
            logger.warning("no copy of an attached file can be kept: %s", error)
            return None


def _newest_images(history: Sequence[HistoryItem]) -> Sequence[FilePart]:
    """Those at an address of the room, among the newest images of all."""
    said = [item.content for item in history if isinstance(item, UserMessage | MadeImages)]
    images = [part for content in said for part in content if isinstance(part, FilePart) and _is_image(part)]
    return [part for part in images[-MAX_RECALLED:] if not is_image(part)]


def _is_image(part: FilePart) -> bool:
    """Whether it is an image, or an address of the room at which there seems to be one."""
    by_name = is_room_address(part.url) and _kind_of(_name_of(part)).startswith("image/")
    return is_image(part) or id_of(part.url) is not None or by_name


def _name_of(part: FilePart) -> str:
    if part.name:
        return part.name
    if id_of(part.url) is not None:
        return "image"
    if is_room_address(part.url):
        return path_at(part.url).rsplit("/", 1)[-1]
    kind = part.url[5:].partition(",")[0].partition(";")[0].lower()
    return f"file{mimetypes.guess_extension(kind) or ''}"


def _kind_of(name: str) -> str:
    return mimetypes.guess_type(name)[0] or "application/octet-stream"


def _data_url(kind: str, data: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(data).decode()}"


def _decoded(url: str) -> bytes | None:
    head, comma, data = url[5:].partition(",")
    try:
        if "base64" in head.split(";"):
            return base64.b64decode(data, validate=True)
        return unquote_to_bytes(data) if comma else None
    except (binascii.Error, ValueError):
        return None


def _too_many(copies: bool) -> str:
    total = MAX_COPIES if copies else MAX_TOTAL
    return f"a message can have {MAX_FILES} files of {total} bytes together"


def _unreadable(name: str, why: str) -> TextPart:
    return TextPart(f"[The attached file {name} could not be read: {why.rstrip('.')}.]")
