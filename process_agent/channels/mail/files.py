"""Files a turn showed, as attachments of its answer."""

from __future__ import annotations

import binascii
import logging
import mimetypes
from base64 import b64decode
from collections.abc import Sequence
from urllib.parse import unquote_to_bytes

from process_agent.channels.mail.attachments import safe_name
from process_agent.channels.mail.message import Attachment
from process_agent.core.images import id_of
from process_agent.core.room_ports import RoomFiles, RoomImages
from process_agent.errors import RoomError

logger = logging.getLogger(__name__)

MAX_FILES = 10
MAX_BYTES = 10 << 20
"""Of all attachments of one answer together."""

ROOM = "room://"


async def attached(
    urls: Sequence[str], files: RoomFiles, images: RoomImages | None = None
) -> tuple[tuple[Attachment, ...], tuple[str, ...]]:
    """The files that can be attached, and a line for each of the others.

    Files in folders that begin with a dot are the room's own, other people's mail among them: they are not
    sent, whoever may have talked the agent into showing one.
    """
    found: list[Attachment] = []
    left_out: list[str] = []
    space = MAX_BYTES
    for number, url in enumerate(urls, 1):
        name = f"file {number}" if url.startswith("data:") else url[:200]
        if len(found) >= MAX_FILES:
            left_out.append(f"{name} (more than {MAX_FILES} files)")
            continue
        if images is not None and id_of(url) is not None:
            file = await _image(url, number, images, space)
        else:
            file = await _file(url, number, files, space)
        if isinstance(file, str):
            left_out.append(f"{name} ({file})")
        else:
            found.append(file)
            space -= len(file.data)
    return tuple(found), tuple(left_out)


async def _file(url: str, number: int, files: RoomFiles, space: int) -> Attachment | str:
    """The file, or why it cannot be attached."""
    if url.startswith("data:"):
        return _embedded(url, number, space)
    path = url.removeprefix(ROOM).strip("/")
    if "://" in path:
        return "not in the room's storage"
    if any(part.startswith(".") or not part for part in path.split("/")):
        return "not a file that is sent by mail"
    try:
        data = await files.read(path, space)
    except RoomError as error:
        logger.warning("%s is not attached to a mail: %s", url, error)
        return "missing or too large"
    mime_type = mimetypes.guess_type(path)[0] or "application/octet-stream"
    return Attachment(safe_name(path, mime_type), mime_type, data)


async def _image(url: str, number: int, images: RoomImages, space: int) -> Attachment | str:
    """An image of the room's table, as it would be from a `data:` address."""
    try:
        image = await images.read(url, space)
    except RoomError as error:
        logger.warning("%s is not attached to a mail: %s", url, error)
        return "missing or too large"
    ending = mimetypes.guess_extension(image.mime_type) or ".bin"
    return Attachment(f"file-{number}{ending}", image.mime_type, image.data)


def _embedded(url: str, number: int, space: int) -> Attachment | str:
    head, comma, body = url.removeprefix("data:").partition(",")
    mime_type = head.partition(";")[0].strip().lower() or "text/plain"
    if not comma or len(body) > 4 * space:
        return "too large"
    try:
        data = unquote_to_bytes(body)
        data = b64decode(data, validate=True) if head.endswith(";base64") else data
    except (binascii.Error, ValueError):
        return "it cannot be read"
    if len(data) > space:
        return "too large"
    ending = mimetypes.guess_extension(mime_type) or ".bin"
    return Attachment(f"file-{number}{ending}", mime_type, data)
