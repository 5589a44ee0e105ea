"""What people attach, as a model gets it: text, images, text files. Nothing is dropped in silence. Pure."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Iterable, Iterator
from typing import Final
from urllib.parse import unquote_to_bytes

from process_agent.core.content import ContentPart, FilePart, TextPart
from process_agent.core.images import image_type

MAX_IMAGE: Final = 8 * 1024 * 1024
"""Characters of the data URL of one image."""

MAX_IMAGES: Final = 10
"""Images of one message."""

MAX_INLINED: Final = 200_000
"""Characters of all text files of one message; Codex takes 1,048,576 characters in all."""

_TEXT_TYPES: Final = frozenset(
    {
        *("application/json", "application/x-ndjson", "application/xml", "application/sql"),
        *("application/javascript", "application/x-javascript", "application/typescript"),
        *("application/yaml", "application/x-yaml", "application/toml", "application/x-sh"),
        *("application/csv", "application/x-httpd-php", "application/x-python"),
    }
)
_UNTYPED: Final = frozenset({"", "application/octet-stream"})
"""What browsers say of files they do not know: sources in many languages, for one."""


def readable(
    content: Iterable[ContentPart], kept: Callable[[FilePart], bool] = lambda _: False
) -> Iterator[ContentPart]:
    """The parts as a model gets them: texts, images that it can look at, files that are `kept`."""
    images, room = 0, MAX_INLINED
    for part in content:
        if isinstance(part, TextPart) or kept(part):
            yield part
            continue
        problem = image_problem(part) if is_image(part) else None
        if is_image(part) and problem is None and images < MAX_IMAGES:
            images += 1
            yield part
            if part.path:
                yield TextPart(f"[The image{_named(part)} is at {part.path}.]")
            continue
        if is_image(part):
            problem = problem or f"a message can have {MAX_IMAGES} images"
            yield TextPart(unreadable(part, problem))
            continue
        text, used = _file(part, room)
        room -= used
        yield TextPart(text)


def part_text(part: ContentPart) -> str:
    """A part as text: what a model is told of a file whose content it does not get."""
    if isinstance(part, TextPart):
        return part.text
    if is_image(part):
        return f"[image{_named(part)}{f' at {part.path}' if part.path else ''}]"
    return _file(part, MAX_INLINED)[0]


def is_image(part: ContentPart) -> bool:
    """Whether the part holds an image."""
    return isinstance(part, FilePart) and part.url[:11].lower() == "data:image/" and not _is_svg(part.url)


def image_problem(part: FilePart) -> str | None:
    """Why a model cannot look at this image. One bad image makes providers refuse the whole conversation."""
    if len(part.url) > MAX_IMAGE:
        return f"the image is larger than {MAX_IMAGE} characters of base64"
    head, _, data = part.url.partition(",")
    try:
        decoded = base64.b64decode(data, validate=True) if head.endswith(";base64") else b""
    except (binascii.Error, ValueError):
        decoded = b""
    if image_type(decoded) is None:
        return "it is no PNG, JPEG, GIF or WebP image"
    return None


def unreadable(part: FilePart, why: str) -> str:
    """The line that stands for a file that cannot be given to the model itself."""
    if part.path:
        return f"[The file{_named(part)} is at {part.path}; commands can read it.]"
    return f"[The file{_named(part)} cannot be read here: {why}.]"


def _file(part: FilePart, room: int) -> tuple[str, int]:
    """A file as text, and how many characters of it were taken."""
    if part.url[:5].lower() != "data:":
        return unreadable(part, f"it is at {_shorten(part.url, 300)}"), 0
    head, comma, data = part.url[5:].partition(",")
    kind, *options = head.split(";")
    kind = kind.strip().lower()
    text = _decoded(data, "base64" in options) if comma and _may_be_text(kind) else None
    if text is None or (kind in _UNTYPED and "\0" in text):
        return unreadable(part, f"{kind or 'its type'} is neither text nor an image that the model takes"), 0
    if room <= 0:
        return unreadable(part, f"a message can have {MAX_INLINED} characters of files"), 0
    cut = (
        "" if len(text) <= room else f"\n[The rest of the file, {len(text) - room} characters, is left out.]"
    )
    name = _shorten((part.name or "").replace('"', "'"), 200)
    at = f' path="{part.path}"' if part.path else ""
    return f'<file name="{name}"{at}>\n{text[:room]}{cut}\n</file>', min(len(text), room)


def _decoded(data: str, as_base64: bool) -> str | None:
    try:
        raw = base64.b64decode(data, validate=True) if as_base64 else unquote_to_bytes(data)
        return raw.decode()
    except (binascii.Error, ValueError):
        return None


def _may_be_text(kind: str) -> bool:
    if kind.startswith("text/") or kind in _TEXT_TYPES or kind in _UNTYPED:
        return True
    return kind.endswith(("+json", "+xml", "+yaml"))


def _is_svg(url: str) -> bool:
    return url[:18].lower() == "data:image/svg+xml"


def _named(part: FilePart) -> str:
    return f" {_shorten(part.name, 200)}" if part.name else ""


def _shorten(text: str, limit: int) -> str:
    line = " ".join(text.split())
    return line if len(line) <= limit else line[: limit - 1] + "…"
