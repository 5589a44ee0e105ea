"""What people say and what tools give back, as parts of a request. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterable

from process_agent.core.attached import part_text, readable
from process_agent.core.backend import Answered
from process_agent.core.content import (
    ContentPart,
    EmptyResult,
    ErrorInfo,
    FilePart,
    JsonResult,
    LinkResult,
    TextPart,
    TextResult,
)
from process_agent.core.documents import MAX_DOCUMENTS, document_of
from process_agent.core.requests import Secret
from process_agent.wire.llm.request import Document, Image, Message, Part, Text

MAX_OUTPUT = 200_000
"""Characters of what one tool gives back that a model reads."""


def said(content: Iterable[ContentPart], before: str = "") -> Message:
    """What a participant said; `before` is a line of the room's."""
    parts: list[Part] = [Text(before)] if before else []
    documents: dict[int, Document] = {}

    def is_document(part: FilePart) -> bool:
        found = document_of(part) if len(documents) < MAX_DOCUMENTS else None
        if found is not None:
            name = part.name or "document"
            documents[id(part)] = Document(found.url, name, part_text(part), found.tokens)
        return found is not None

    for part in readable(content, is_document):
        if isinstance(part, TextPart):
            parts.append(Text(part.text))
        elif (document := documents.get(id(part))) is not None:
            parts += _document(part, document)
        else:
            parts.append(Image(part.url))
    return Message("user", tuple(parts))


def _document(part: FilePart, document: Document) -> list[Part]:
    """A document, and where commands find it."""
    at = [Text(f"[The file {document.name} is at {part.path}.]")] if part.path else []
    return [document, *at]


def answered(answer: Answered) -> tuple[tuple[Part, ...], bool]:
    """What a tool gave back, and whether it failed."""
    match answer:
        case ErrorInfo(message):
            return _text(message or "The tool failed."), True
        case TextResult(text):
            return _text(text), False
        case JsonResult(value):
            return _text(json.dumps(value, ensure_ascii=False, default=str)), False
        case LinkResult(_, url) if url.startswith("data:image/"):
            return (Image(url),), False
        case LinkResult(name, url):
            return _text(f"{name}: {url}"), False
        case EmptyResult():
            return _text("The tool ended without a result."), False
        case Secret():
            return _text("The tool failed."), True


def _text(text: str) -> tuple[Part, ...]:
    return (Text(text[:MAX_OUTPUT]),)
