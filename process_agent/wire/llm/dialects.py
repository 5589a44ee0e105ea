"""The dialects by name: where requests go, with what headers, and who reads the answer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

import msgspec

from process_agent.core.providers import Dialect
from process_agent.wire.llm import chat, messages, responses
from process_agent.wire.llm.reader import StreamReader
from process_agent.wire.llm.request import JsonObject, ModelRequest

_ANTHROPIC_VERSION: Final = "2023-06-01"


def _asked(reasons: bool, effort: str | None, max_output: int | None, adaptive: bool) -> int:
    return max_output or 0


@dataclass(frozen=True, slots=True)
class Codec:
    """One dialect. `path` comes after the provider's base address. `longest` tells how many tokens of the
    context a request reserves for its answer, from whether the model reasons, the effort, the limit that the
    provider's configuration gives, and whether the model decides itself how long it thinks.
    """

    path: str
    build: Callable[[ModelRequest], JsonObject]
    reader: Callable[[str], StreamReader]
    longest: Callable[[bool, str | None, int | None, bool], int] = _asked

    def encode(self, request: ModelRequest) -> bytes:
        """The body of a request."""
        return msgspec.json.encode(self.build(request))


CODECS: Final[Mapping[Dialect, Codec]] = {
    "responses": Codec("/responses", responses.body, responses.ResponsesReader),
    "messages": Codec("/v1/messages", messages.body, messages.MessagesReader, messages.longest),
    "chat": Codec("/chat/completions", chat.body, chat.ChatReader),
}


def headers(dialect: Dialect, key: str | None) -> dict[str, str]:
    """Headers of a request; `key` is the provider's key or a token that stands for it."""
    found = {
        "content-type": "application/json",
        "accept": "text/event-stream",
        "accept-encoding": "identity",
    }
    if dialect == "messages":
        found["anthropic-version"] = _ANTHROPIC_VERSION
        if key:
            found["x-api-key"] = key
    if key and dialect != "messages":
        found["authorization"] = f"Bearer {key}"
    return found
