"""Toolkits of the hosted room that a local room has none of: their lists are empty (section 13)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from process_agent.room_server.toolkit import Call, Chunks, Content, SendChunk, ToolError, json_content


class EmptyToolkit:
    """A toolkit whose tools give fixed answers."""

    streamed: frozenset[str] = frozenset()

    def __init__(self, name: str, answers: Mapping[str, Mapping[str, Any]]) -> None:
        self.name = name
        self.unary = frozenset(answers)
        self._answers = answers

    async def call(self, call: Call) -> Content:
        """The fixed answer."""
        return json_content(self._answers[call.tool])

    async def stream(self, call: Call, chunks: Chunks, send: SendChunk) -> None:
        """No tool of this toolkit is streamed."""
        raise ToolError(f"{self.name}.{call.tool} is not streamed")

    async def close(self) -> None:
        """Nothing is kept."""


def empty_toolkits() -> list[EmptyToolkit]:
    """Containers and mounts."""
    return [
        EmptyToolkit("containers", {"list_containers": {"containers": []}}),
        EmptyToolkit("mounts", {"list": {"volumes": []}}),
    ]
