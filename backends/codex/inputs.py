"""What people send, as Codex takes it. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from process_agent.core.attached import readable
from process_agent.core.content import ContentPart, TextPart


def input_items(content: Iterable[ContentPart]) -> list[dict[str, Any]]:
    """The `input` of a turn or steer."""
    return [
        {"type": "text", "text": part.text, "text_elements": []}
        if isinstance(part, TextPart)
        else {"type": "image", "url": part.url}
        for part in readable(content)
    ]
