"""Keeps what tools give back within what a model can read. Pure."""

from __future__ import annotations

import base64
import binascii
import json
from dataclasses import replace

from process_agent.core.content import ErrorInfo, JsonResult, TextResult
from process_agent.core.images import image_type
from process_agent.core.tools import ToolOutput
from process_agent.errors import ProcessError, RoomRequestError, ToolFailedError

MAX_RESULT = 100_000
"""Characters of one result, about 25,000 tokens: every further request of the turn carries it again."""

MAX_ERROR = 4_000
"""Characters of what a failed tool says."""

MAX_IMAGES = 4
MAX_IMAGE = 8 * 1024 * 1024
"""Images of one result, and characters of the `data:` URL of each."""

_HEAD = 64


def cut(output: ToolOutput) -> ToolOutput:
    """The output within the limits; what is left out is said."""
    if output.text is not None and not output.images:
        return replace(output, text=_within(output.text))
    result, notes = output.result, list[str]()
    images = [url for url in output.images if is_image(url)]
    if len(images) < len(output.images):
        notes.append(f"{len(output.images) - len(images)} images cannot be shown to a model")
    if len(images) > MAX_IMAGES:
        notes.append(f"{len(images) - MAX_IMAGES} more images are left out")
    if isinstance(result, JsonResult):
        text = json.dumps(result.json, ensure_ascii=False, default=str)
        result = TextResult(text) if len(text) > MAX_RESULT else result
    if isinstance(result, TextResult) and len(result.text) > MAX_RESULT:
        notes.append(f"the result has {len(result.text)} characters; the rest is left out")
        result = TextResult(result.text[:MAX_RESULT])
    if notes:
        said = result.text if isinstance(result, TextResult) else _as_text(output)
        result = TextResult(f"{said}\n[{'; '.join(notes)}.]")
    return ToolOutput(result, tuple(images[:MAX_IMAGES]))


def _within(text: str) -> str:
    """A text that was written for the model; whoever wrote it has shortened it better, as a rule."""
    return text if len(text) <= MAX_RESULT else f"{text[:MAX_RESULT]}\n[The rest is left out.]"


def cut_error(error: ProcessError) -> ErrorInfo:
    """What a failed tool says, as far as a model needs to read it."""
    code = "tool_failed" if isinstance(error, ToolFailedError | RoomRequestError) else "room_error"
    text = str(error)
    return ErrorInfo(text if len(text) <= MAX_ERROR else f"{text[:MAX_ERROR]} …", code)


def is_image(url: str) -> bool:
    """Whether a `data:` URL holds an image that models take, small enough to be sent."""
    head, comma, data = url.partition(",")
    if not comma or len(url) > MAX_IMAGE or not head.lower().endswith(";base64"):
        return False
    try:
        return image_type(base64.b64decode(data[:_HEAD], validate=True)) is not None
    except (binascii.Error, ValueError):
        return False


def image_url(data: bytes) -> str | None:
    """The `data:` URL of an image; None when models take no such image."""
    kind = image_type(data[:_HEAD])
    return None if kind is None else f"data:{kind};base64,{base64.b64encode(data).decode()}"


def _as_text(output: ToolOutput) -> str:
    result = output.result
    if isinstance(result, JsonResult):
        return json.dumps(result.json, ensure_ascii=False, default=str)
    return result.text if isinstance(result, TextResult) else ""
