"""Files that an agent showed or people attached in a thread, and the names by which they are saved. Pure."""

from __future__ import annotations

import hashlib
import mimetypes
import shlex
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from urllib.parse import unquote, urlsplit

from process_agent.core.content import FilePart
from process_agent.core.images import id_of
from process_agent.errors import UsageError
from process_agent.viewer.items import FileItem, ImageItem, Turn, UserItem

MAX_NAME = 100
"""Characters of a name."""

MOST_NAMED = 10
"""Names of an error."""

_UNFIT = frozenset('/\\:*?"<>|')


@dataclass(frozen=True, slots=True)
class ShownFile:
    """A file at an address. The name is one part of a path: visible, without a leading dot or dash."""

    name: str
    url: str

    @property
    def command(self) -> str:
        """What saves it."""
        return f"/save {shlex.quote(self.name)}"


def shown_file(url: str, mime_type: str | None = None) -> ShownFile:
    """The file at an address, named after its last part, or by a mark of its own where it has no name."""
    if url.startswith("data:"):
        kind = mime_type or url[5:100].partition(";")[0].partition(",")[0]
        return ShownFile(_marked(f"{len(url)} {url[-1_000:]}", kind), url)
    if (image := id_of(url)) is not None:
        return ShownFile(_marked(image, mime_type or ""), url)
    try:
        path = urlsplit(url).path
    except ValueError:
        path = url
    return ShownFile(_safe(unquote(path).rstrip("/").rpartition("/")[2]), url)


def attached_file(part: FilePart) -> ShownFile:
    """A file that somebody attached, by its own name if it has one."""
    found = shown_file(part.url)
    return replace(found, name=_safe(part.name)) if part.name else found


def shown_files(turns: Iterable[Turn]) -> list[ShownFile]:
    """The files of turns, the newest last."""
    found: list[ShownFile] = []
    for turn in turns:
        for item in turn.items.values():
            if isinstance(item, UserItem):
                found += [attached_file(part) for part in item.content if isinstance(part, FilePart)]
            elif isinstance(item, FileItem):
                found += [shown_file(url) for url in item.urls]
            elif isinstance(item, ImageItem):
                found += [shown_file(image.uri, image.mime_type) for image in item.images]
    return found


def find(ref: str, files: Sequence[ShownFile]) -> ShownFile:
    """The file that a text names: the newest of that name, else the N-th last; the last one without a text.
    Raises `UsageError` that says which there are.
    """
    if not files:
        raise UsageError("No file was shown in this thread.")
    if not ref:
        return files[-1]
    for name in (ref, ref.rpartition("/")[2]):
        named = [file for file in files if file.name == name]
        if named:
            return named[-1]
    if ref.isdecimal() and 1 <= int(ref) <= len(files):
        return files[-int(ref)]
    names = list(dict.fromkeys(file.name for file in reversed(files)))
    more = f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
    raise UsageError(f"No file {ref!r} was shown here; there is {', '.join(names[:MOST_NAMED])}{more}.")


def _marked(text: str, mime_type: str) -> str:
    mark = hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()[:6]
    stem = "image" if not mime_type or mime_type.startswith("image/") else "file"
    return f"{stem}-{mark}{mimetypes.guess_extension(mime_type) or ''}"


def _safe(name: str) -> str:
    shown = "".join("_" if c in _UNFIT or not c.isprintable() else c for c in name[: 10 * MAX_NAME])
    shown = shown.strip(" .").lstrip("-~ .") or "file"
    if len(shown) <= MAX_NAME:
        return shown
    stem, dot, ending = shown.rpartition(".")
    return f"{stem[: MAX_NAME - len(ending) - 1]}.{ending}" if dot and len(ending) <= 10 else shown[:MAX_NAME]
