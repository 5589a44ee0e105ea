"""What people say and what tools return."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

type Json = bool | int | float | str | list[Json] | dict[str, Json] | None


@dataclass(frozen=True, slots=True)
class TextPart:
    """Text a person or another agent wrote."""

    text: str


@dataclass(frozen=True, slots=True)
class FilePart:
    """A file by reference: `room:///path`, `data:` or `dataset://images?id=…`. `path` is where the commands
    of a backend find a copy of it, if there is one; the agent sets it, never a participant.
    """

    url: str
    name: str | None = None
    path: str | None = None


type ContentPart = TextPart | FilePart


def plain_text(parts: Iterable[ContentPart]) -> str:
    """All text parts, joined by newlines."""
    return "\n".join(part.text for part in parts if isinstance(part, TextPart))


@dataclass(frozen=True, slots=True)
class TextResult:
    """A tool answered with text."""

    text: str


@dataclass(frozen=True, slots=True)
class JsonResult:
    """A tool answered with a JSON value; a command answers `{"stdout", "stderr", "exit_code"}`."""

    json: Json


@dataclass(frozen=True, slots=True)
class LinkResult:
    """A tool answered with a link."""

    name: str
    url: str


@dataclass(frozen=True, slots=True)
class EmptyResult:
    """A tool answered with nothing."""


type ToolResult = TextResult | JsonResult | LinkResult | EmptyResult


@dataclass(frozen=True, slots=True)
class GeneratedImage:
    """An image a model made: `uri` is `data:`, `room:///path` or `dataset://images?id=…`; sizes in pixels."""

    uri: str
    mime_type: str | None = None
    width: int | None = None
    height: int | None = None


@dataclass(frozen=True, slots=True)
class ErrorInfo:
    """A failure as people and programs see it: a sentence, and a code that never is empty."""

    message: str
    code: str


@dataclass(frozen=True, slots=True)
class LogLine:
    """A piece of a running tool's output."""

    text: str
    source: Literal["stdout", "stderr"] = "stdout"
