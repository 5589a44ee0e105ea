"""What a request says about the conversation: the prompt, what came before, what this turn already did."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from process_agent.wire.responses import Call, CallOutput, InputItem, Message, ResponsesRequest

_TAGGED = re.compile(r"\s*(?:<(\w+_\w+|skill)(?: [^>\n]*)?>.*</\1>|</?image(?: [^>\n]*)?>)\s*", re.DOTALL)
"""A text Codex adds around a prompt: <environment_context>, <turn_aborted>, <external_room>, …"""

_SENDER = re.compile(r'\[From (?:"[^\n]*"|somebody without a name)(?:, [0-9TZ:-]+)?\](?:\n|\Z)')
"""The line that an agent puts before messages where several people write."""

_ADDED_BEGINNINGS = (
    "# AGENTS.md instructions",
    "Another language model started to solve this problem",
    "The conversation so far was shortened. A model left this summary of it:",
)
"""Other user messages that nobody said: project instructions, and the summary after a compaction."""


@dataclass(frozen=True, slots=True)
class Conversation:
    """`said` are the messages of people, oldest first, the prompt last; `replies` are the outputs of the
    tool calls made since the prompt, in the order of the calls.
    """

    said: tuple[str, ...]
    answers: tuple[str, ...]
    replies: tuple[str, ...]

    @property
    def prompt(self) -> str:
        """What to answer; empty when nobody said anything."""
        return self.said[-1] if self.said else ""


def read_conversation(request: ResponsesRequest) -> Conversation:
    """Find the prompt and what has happened since."""
    said: list[str] = []
    answers: list[str] = []
    since: list[InputItem] = []
    for item in request.input:
        text = _said(item)
        if text is not None:
            said.append(text)
            since = []
        elif isinstance(item, Message) and item.role == "assistant":
            answers.append(item.text)
        else:
            since.append(item)
    return Conversation(tuple(said), tuple(answers), _replies(since))


def _said(item: InputItem) -> str | None:
    """What a person said in this item, without what a client added; None when nothing."""
    if not isinstance(item, Message) or item.role != "user":
        return None
    said = [part for part in item.parts if not _is_added(part)]
    parts = [_SENDER.sub("", part, count=1) if _SENDER.match(part) else part for part in said]
    return "\n".join(part for part in parts if part or len(parts) == 1) if parts else None


def _is_added(text: str) -> bool:
    return text.startswith(_ADDED_BEGINNINGS) or _TAGGED.fullmatch(text) is not None


def _replies(items: Sequence[InputItem]) -> tuple[str, ...]:
    outputs = {item.call_id: item.output for item in items if isinstance(item, CallOutput)}
    calls = [item.call_id for item in items if isinstance(item, Call)]
    return tuple(outputs[call] for call in calls if call in outputs)
