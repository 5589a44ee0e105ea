"""Images that Codex makes: items `imageGeneration`, and calls of the provider that Codex makes no item of.

Schema `ThreadItem` of 0.163.0: `result` is the image in base64, `failure` says why there is none. 0.169.0 has
no `result`, only the `savedPath` of a file in Codex's home, which is not read here.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from typing import Any, Final

from backends.codex.failures import snake_case
from backends.codex.shapes import as_dict
from process_agent.core.content import ErrorInfo, GeneratedImage
from process_agent.core.events import BackendEvent, EndReason, ImageCompleted, ImageFailed, ImageStarted
from process_agent.core.ids import ItemId
from process_agent.core.images import image_type, png_size

MAX_IMAGE: Final = 8 * 1024 * 1024
"""Characters of base64 of an image that is passed on."""

_ENDED: Final = {
    EndReason.INTERRUPTED: ErrorInfo("Stopped.", "interrupted"),
    EndReason.LOST: ErrorInfo("Codex is gone; there is no image.", "lost"),
}
_UNFINISHED: Final = ErrorInfo("The turn ended before the image was made.", "unfinished")


class OpenImage:
    """An image that is being made."""

    def __init__(self, item_id: ItemId) -> None:
        self._item_id = item_id
        self._prompt: str | None = None

    def start(self, item: Mapping[str, Any]) -> list[BackendEvent]:
        """Begin; the prompt as the model put it, if it is known by now."""
        prompt = item.get("revisedPrompt") or item.get("revised_prompt")
        self._prompt = prompt if isinstance(prompt, str) else None
        return [ImageStarted(self._item_id, {"prompt": self._prompt} if self._prompt else {})]

    def complete(self, item: Mapping[str, Any]) -> list[BackendEvent]:
        """The image, or why there is none."""
        prompt = item.get("revisedPrompt") or item.get("revised_prompt")
        later = self.start(item) if isinstance(prompt, str) and prompt != self._prompt else []
        found = _image(item)
        if isinstance(found, ErrorInfo):
            return [*later, ImageFailed(self._item_id, found)]
        return [*later, ImageCompleted(self._item_id, (found,), self._prompt)]

    def abandon(self, reason: EndReason) -> list[BackendEvent]:
        """The turn ends while it is being made."""
        return [ImageFailed(self._item_id, _ENDED.get(reason, _UNFINISHED))]


def _image(item: Mapping[str, Any]) -> GeneratedImage | ErrorInfo:
    data = item.get("result")
    saved = item.get("savedPath")
    if not data and isinstance(saved, str) and saved:
        return ErrorInfo(f"The image is in a file where the agent runs: {saved}", "image_in_file")
    if not isinstance(data, str) or not data:
        return _failure(as_dict(item.get("failure")).get("type"))
    if len(data) > MAX_IMAGE:
        size = f"{len(data)} characters of base64, more than {MAX_IMAGE}"
        return ErrorInfo(f"The image is too large to be shown: {size}.", "image_too_large")
    try:
        head = base64.b64decode(data[:64], validate=True)
    except (binascii.Error, ValueError):
        head = b""
    kind = image_type(head)
    if kind is None:
        return ErrorInfo("What was made is no PNG, JPEG, GIF or WebP image.", "image_failed")
    width, height = png_size(head) if kind == "image/png" else (None, None)
    return GeneratedImage(f"data:{kind};base64,{data}", kind, width, height)


def _failure(kind: object) -> ErrorInfo:
    if kind == "usageLimitExceeded":
        return ErrorInfo("No image was made: the account's limit for images is used up.", snake_case(kind))
    return ErrorInfo("No image was made.", "image_failed")
