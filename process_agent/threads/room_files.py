"""Which files of the room's storage belong to a thread: what people attached and what its agent showed. Pure.

What the rows say is not to be trusted: whoever chats can name any path. A file belongs to a thread only where
our own clients and agents put such files, each message's and each thread's in a folder of its own:
`uploads/ID/NAME` was attached, `agents/AGENT/files/ID/NAME` was shown. All others are somebody's own.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Final

from process_agent.core import events as e
from process_agent.core.content import ContentPart, FilePart
from process_agent.core.room_addresses import is_room_address, path_at
from process_agent.wire.agent_messages import PREFIX

ATTACHED: Final = re.compile(r"uploads/[0-9a-f]{8}/(?P<name>[^/]{1,255})")
SHOWN: Final = re.compile(r"agents/(?!\.{1,2}/)[^/\"'<>\n]{1,200}/files/[0-9a-f]{12}/(?P<name>[^/]{1,255})")

MAX_FILES: Final = 10_000
"""Files of one thread that are looked after."""

KINDS: Final = tuple(
    PREFIX + kind for kind in ("turn.start", "turn.start.accepted", "turn.steer", "file_content.delta")
)
"""Types of the rows that have files."""


def addresses_in(body: e.EventBody) -> Iterator[str]:
    """The addresses of files and images that an event shows."""
    match body:
        case e.ImageCompleted(images=images):
            yield from (image.uri for image in images)
        case e.FileShown(url=url):
            yield url
        case (
            e.TurnRequested(content=content)
            | e.TurnAccepted(content=content)
            | e.SteerRequested(content=content)
        ):
            yield from _attached(content)
        case _:
            pass


def files_of(body: e.EventBody) -> Iterator[str]:
    """The paths of the files of an event that belong to its thread."""
    form = SHOWN if isinstance(body, e.FileShown) else ATTACHED
    for address in addresses_in(body):
        path = own_path(address, form)
        if path is not None:
            yield path


def own_path(address: str, *forms: re.Pattern[str]) -> str | None:
    """The path at an address, if it has one of these forms, or any of ours when none is named."""
    if not is_room_address(address):
        return None
    path = path_at(address)
    fits = any(form.fullmatch(path) for form in forms or (ATTACHED, SHOWN))
    name = path.rpartition("/")[2]
    return path if fits and path.isprintable() and "\\" not in path and not name.startswith(".") else None


def folder_of(path: str) -> str:
    """The folder a file has for itself, or with the others of its thread."""
    return path.rpartition("/")[0]


def _attached(content: Iterable[ContentPart]) -> Iterator[str]:
    return (part.url for part in content if isinstance(part, FilePart))
