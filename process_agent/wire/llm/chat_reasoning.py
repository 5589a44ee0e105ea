"""What servers of Chat Completions show of a model's reasoning, and how they want to see it again.

Three members of a message are in use, none of them OpenAI's own: `reasoning_content` (DeepSeek, Kimi, xAI),
`reasoning` (OpenRouter, Ollama, newer vLLM), and OpenRouter's `reasoning_details`: a list of blocks with the
signatures and encrypted parts of whatever provider stands behind, which go back unchanged and in their order.
Each goes back under the name it came with.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from process_agent.core.content import Json
from process_agent.wire.llm.reader import list_of, text_of
from process_agent.wire.llm.request import JsonObject

TEXTS: Final = ("reasoning_content", "reasoning")
DETAILS: Final = "reasoning_details"

BLANK: Final = " "
"""Stands for reasoning that nobody has: Kimi takes an empty text for a missing one, and refuses that."""

MAX_BLOCKS: Final = 1_000
"""Blocks of one answer that are kept."""

_PIECES: Final = ("text", "summary")
"""Members of a block that come in pieces."""


class Details:
    """The blocks of one answer, put together from their pieces."""

    def __init__(self) -> None:
        self._blocks: list[JsonObject] = []

    def add(self, pieces: Iterable[JsonObject]) -> None:
        """More of them. A block of text is told apart by its index; its signature may come last, alone."""
        for piece in pieces:
            block = self._block_of(piece)
            if block is not None:
                _join(block, piece)
            elif len(self._blocks) < MAX_BLOCKS:
                self._blocks.append({**piece})

    def taken(self) -> list[Json]:
        """All of them as the provider wants to see them again."""
        blocks, self._blocks = self._blocks, []
        return [*blocks]

    def _block_of(self, piece: JsonObject) -> JsonObject | None:
        if piece.get("type") not in ("reasoning.text", "reasoning.summary"):
            return None  # what is encrypted comes whole
        same = (piece.get("type"), piece.get("index"))
        for block in reversed(self._blocks):
            if (block.get("type"), block.get("index")) == same:
                return None if block.get("signature") and text_of(piece, "text") else block
        return None


def thought(delta: JsonObject) -> tuple[str, str]:
    """The member in which a piece of an answer shows reasoning, and what it says."""
    for member in TEXTS:
        if text := text_of(delta, member):
            return member, text
    blocks = list_of(delta, DETAILS)
    return DETAILS, "".join(text_of(block, member) for block in blocks for member in _PIECES)


def think(messages: list[JsonObject], text: str, kept: Mapping[str, Json]) -> None:
    """Reasoning in the messages of a request: a message that begins with it, or, for blocks that were
    complete only after the text, the message of that text. Blocks say what the text says, which is left out.
    """
    told = dict(kept) or {TEXTS[0]: text}
    last = messages[-1] if messages else {}
    if DETAILS in told and last.get("role") == "assistant" and not {"tool_calls", DETAILS} & set(last):
        for member in TEXTS:
            last.pop(member, None)
        last.update(told)
    else:
        messages.append({"role": "assistant", "content": None, **told})


def with_blanks(messages: Iterable[JsonObject]) -> list[JsonObject]:
    """The messages for a model that refuses calls without the reasoning before them: that of calls that
    another model made, or that were made before a restart, nobody has.
    """
    return [
        {**message, TEXTS[0]: BLANK} if "tool_calls" in message and not message.get(TEXTS[0]) else message
        for message in messages
    ]


def _join(block: JsonObject, piece: JsonObject) -> None:
    for member, value in piece.items():
        if member in _PIECES and isinstance(value, str):
            block[member] = text_of(block, member) + value
        elif value is not None:
            block[member] = value
