"""Files of the room that people attach, fetched before a backend sees them.

A backend gets their content as `data:` URLs, and knows nothing of rooms. What cannot be fetched stays in the
message as a line that says so, for the model and for whoever reads the thread's answer.
"""

from __future__ import annotations

import asyncio
import base64
import mimetypes
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

from process_agent.core.content import ContentPart, FilePart, TextPart
from process_agent.core.room_ports import RoomFiles
from process_agent.errors import RoomError

MAX_FILES = 20
"""Files of one message that are fetched."""

MAX_BYTES = 6 * 1024 * 1024
"""Largest file; as base64 it stays below what model providers take for one image."""

MAX_TOTAL = 4 * MAX_BYTES
"""Bytes of all files of one message."""


FETCH_SECONDS = 30.0
"""How long one file may take."""


@dataclass(frozen=True, slots=True)
class Attachments:
    """Fetches the files of messages; without `files` there is no room to fetch them from."""

    files: RoomFiles | None

    async def resolve(self, content: tuple[ContentPart, ...]) -> tuple[ContentPart, ...]:
        """The message with its room files as `data:` URLs."""
        found: list[ContentPart] = []
        count, left = 0, MAX_TOTAL
        for part in content:
            if not isinstance(part, FilePart) or part.url[:5].lower() != "room:":
                found.append(part)
                continue
            count += 1
            fetched = await self._fetch(part, min(left, MAX_BYTES) if count <= MAX_FILES else 0)
            left -= len(fetched.url) if isinstance(fetched, FilePart) else 0
            found.append(fetched)
        return tuple(found)

    async def _fetch(self, part: FilePart, limit: int) -> ContentPart:
        path = _path_of(part.url)
        name = part.name or path.rsplit("/", 1)[-1]
        if self.files is None:
            return _unreadable(name, "this agent is in no room that keeps files")
        if limit <= 0:
            return _unreadable(name, f"a message can have {MAX_FILES} files of {MAX_TOTAL} bytes together")
        try:
            async with asyncio.timeout(FETCH_SECONDS):
                data = await self.files.read(path, limit)
        except RoomError as error:
            return _unreadable(name, str(error))
        except TimeoutError:
            return _unreadable(name, f"the room did not send it within {FETCH_SECONDS:.0f} s")
        kind = mimetypes.guess_type(name)[0] or "application/octet-stream"
        return FilePart(f"data:{kind};base64,{base64.b64encode(data).decode()}", name)


def _path_of(url: str) -> str:
    """The path of a `room:` address, however many slashes it begins with."""
    try:
        parts = urlsplit(url)
    except ValueError:  # an address that ends within a bracket
        return url
    return unquote(parts.netloc + parts.path).lstrip("/")


def _unreadable(name: str, why: str) -> TextPart:
    return TextPart(f"[The attached file {name} could not be read: {why.rstrip('.')}.]")
