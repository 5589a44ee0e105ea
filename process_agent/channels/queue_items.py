"""Items of a queue: what they may look like, and the turn each one asks for (agent protocol, section 9)."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

from process_agent.core.content import ContentPart, FilePart, Json, TextPart
from process_agent.core.room_ports import RoomFiles
from process_agent.errors import RoomClosedError, RoomError, RoomRequestError, WireError
from process_agent.io.backoff import Backoff
from process_agent.wire.agent_messages.parts import Fields, decode_attached

logger = logging.getLogger(__name__)

MAX_FILE_BYTES = 1 << 20
"""Largest file of the room's storage that becomes part of a prompt."""

MAX_FILES = 20
"""Most files of one prompt that become part of it."""

FILE_SECONDS = 30.0
"""How long one file may take to come, a lost connection included."""

MAX_NAME = 200
"""Characters of a sender's name; the rest is cut off."""

ROOM = "room://"
_RETRY = Backoff(first=0.2, ceiling=5.0)


@dataclass(frozen=True, slots=True)
class QueueItem:
    """What one item asks for. Files of a `prompt` become text, those of `content` stay files."""

    content: tuple[ContentPart, ...]
    from_prompt: bool = True
    prompt_file: str | None = None
    path: str | None = None
    model: str | None = None
    instructions: str | None = None
    sender_name: str | None = None


def read_item(item: Json) -> QueueItem:
    """What an item says: an object with the keys of section 9, a text (the prompt), or anything else, which
    the agent gets as JSON. Raises `WireError` for an object whose keys cannot be understood.
    """
    if isinstance(item, str):
        return QueueItem((TextPart(item),))
    if not isinstance(item, dict):
        return QueueItem((_as_json(item),), from_prompt=False)
    content, from_prompt = _content(item)
    named = [name for key in ("sender_name", "from") if isinstance(name := item.get(key), str)]
    sender = next((name.strip() for name in named if name.strip()), None)
    return QueueItem(
        content,
        from_prompt,
        prompt_file=_text(item, "prompt_file"),
        path=_text(item, "path"),
        model=_text(item, "model"),
        instructions=_text(item, "instructions"),
        sender_name=None if sender is None else sender[:MAX_NAME],
    )


async def content_of(item: QueueItem, files: RoomFiles) -> tuple[ContentPart, ...]:
    """The content of the turn, with the files of a prompt read. What cannot be read is said in its place."""
    found: list[ContentPart] = []
    if (named := item.prompt_file) is not None:
        path = _path_of(named) if named.startswith(ROOM) else named
        text = await _text_of(named, path, files)
        found.append(_notice(named, "it is not text") if text is None else text)
    left = MAX_FILES
    for part in item.content:
        if not item.from_prompt or not isinstance(part, FilePart) or not part.url.startswith(ROOM):
            found.append(part)
        elif left == 0:
            found.append(_notice(part.url, f"a prompt takes at most {MAX_FILES} files"))
        else:
            left -= 1
            found.append(await _text_of(part.url, _path_of(part.url), files) or part)
    return tuple(found)


def _content(item: Mapping[str, Json]) -> tuple[tuple[ContentPart, ...], bool]:
    """The content parts, and whether they are a prompt."""
    for key in ("content", "prompt"):
        match item.get(key):
            case None:
                continue
            case str() as text if text.strip():
                return (TextPart(text),), key == "prompt"
            case str():
                continue
            case dict() as part:
                return _parts(key, [part]), key == "prompt"
            case list() as parts if parts:
                return _parts(key, parts), key == "prompt"
            case list():
                continue
            case _:
                raise WireError(f"{key} must be text or content parts")
    if _text(item, "prompt_file") is not None:
        return (), True
    return (_as_json(dict(item)),), False


def _parts(key: str, parts: list[Json]) -> tuple[ContentPart, ...]:
    for part in parts:
        if isinstance(part, dict) and part.get("type") == "audio":
            raise WireError(
                f"{key}: audio cannot be taken; send text or files", refusal="unsupported_modality"
            )
    return decode_attached(Fields({"type": key, "content": parts}))


def _text(item: Mapping[str, Json], key: str) -> str | None:
    value = item.get(key)
    if value is None or (isinstance(value, str) and not value.strip()):
        return None
    if not isinstance(value, str):
        raise WireError(f"{key} must be text")
    return value.strip() if key != "instructions" else value


def _as_json(value: Json) -> TextPart:
    return TextPart(json.dumps(value, ensure_ascii=False))


def _path_of(url: str) -> str:
    """The path of a `room:` address; empty for one that has none."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return ""
    return unquote(parts.netloc + parts.path)


async def _text_of(url: str, path: str, files: RoomFiles) -> TextPart | None:
    """The text of a file in the room, or why it cannot be read; None when it is not text.

    The agent reads with its own rights, so folders that the room keeps for itself, like `.emails`, are not
    for those who fill a queue.
    """
    path = path.strip("/")
    if "\\" in path or any(not piece or piece.startswith(".") for piece in path.split("/")):
        return _notice(url, "this is not a file that can be in a prompt")
    try:
        return TextPart((await _read(path, files)).decode())
    except UnicodeDecodeError:
        return None
    except RoomError as error:
        return _notice(url, str(error))
    except TimeoutError:
        return _notice(url, f"it did not come in {FILE_SECONDS:.0f} s")


async def _read(path: str, files: RoomFiles) -> bytes:
    async with asyncio.timeout(FILE_SECONDS):
        for delay in _RETRY.delays():
            try:
                return await files.read(path, MAX_FILE_BYTES)
            except (RoomRequestError, RoomClosedError):
                raise
            except RoomError as error:
                logger.info("reading %s again: %s", path, error)
            await asyncio.sleep(delay)
    raise AssertionError("waiting times never run out")


def _notice(url: str, why: str) -> TextPart:
    logger.warning("%s is not in the prompt: %s", url, why)
    return TextPart(f"[The file {url} could not be read: {why.rstrip('.')}.]")
