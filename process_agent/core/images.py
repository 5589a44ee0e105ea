"""Kinds of images that models take and browsers show, and addresses of those that a room keeps."""

from __future__ import annotations

import base64
import binascii
from urllib.parse import parse_qs, quote, urlsplit

_TABLE = "images"

GIVEN_BACK = ":given-back"
"""Ends the name of an item that is an image which a tool gave back, and no model made."""


def image_type(head: bytes) -> str | None:
    """The MIME type of an image by its first bytes; None when it is no PNG, JPEG, GIF or WebP."""
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return "image/png"
    if head.startswith(b"\xff\xd8\xff"):
        return "image/jpeg"
    if head.startswith((b"GIF87a", b"GIF89a")):
        return "image/gif"
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "image/webp"
    return None


def image_type_of_base64(data: str) -> str | None:
    """The MIME type of an image in base64, by its beginning."""
    try:
        return image_type(base64.b64decode(data[:64], validate=True))
    except (binascii.Error, ValueError):
        return None


def png_size(head: bytes) -> tuple[int | None, int | None]:
    """Width and height in pixels from the header chunk of a PNG, which comes first."""
    if len(head) < 24 or head[12:16] != b"IHDR":
        return None, None
    return int.from_bytes(head[16:20]), int.from_bytes(head[20:24])


def address_of(image_id: str) -> str:
    """The address of an image in the room's table of images (agent protocol, section 6.7)."""
    return f"dataset://{_TABLE}?id={quote(image_id, safe='')}"


def id_of(address: str) -> str | None:
    """The id of an image in the room's table of images; None for every other address. Images in other tables
    are none: who can name an address must not read any table.
    """
    try:
        parts = urlsplit(address.strip())
        ids = parse_qs(parts.query).get("id", [])
    except ValueError:
        return None
    place = parts.netloc + parts.path.rstrip("/")
    return ids[0] if parts.scheme == "dataset" and place == _TABLE and ids and ids[0].strip() else None


def embedded(address: str) -> tuple[str, bytes] | None:
    """The MIME type and the bytes of an image in a `data:` address; None when none can be shown."""
    head, comma, data = address.partition(",")
    if not comma or not head.startswith("data:") or not head.endswith(";base64"):
        return None
    try:
        found = base64.b64decode(data, validate=True)
    except (binascii.Error, ValueError):
        return None
    kind = image_type(found)
    return None if kind is None else (kind, found)
