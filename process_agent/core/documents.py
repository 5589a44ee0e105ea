"""Files that a provider reads itself: PDFs, and documents of offices. Pure.

One file that a provider cannot read makes it refuse the whole conversation, so what is broken, protected or
too long is not given to it.
"""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass

from process_agent.core.content import FilePart

MAX_DOCUMENT = 8 * 1024 * 1024
"""Characters of the `data:` URL of one document."""

MAX_DOCUMENTS = 5
"""Documents of one message."""

MAX_PAGES = 100
"""Pages of one PDF, as Anthropic has it."""

PAGE_TOKENS = 2_000
"""About what a page of a PDF is for a model, as text and as image."""

_BYTES_PER_PAGE = 50_000
_PAGE = re.compile(rb"/Type\s*/Page(?![A-Za-z])")

_OFFICE = "application/vnd.openxmlformats-officedocument"
_KINDS = {
    ".pdf": "application/pdf",
    ".docx": f"{_OFFICE}.wordprocessingml.document",
    ".pptx": f"{_OFFICE}.presentationml.presentation",
    ".xlsx": f"{_OFFICE}.spreadsheetml.sheet",
}
_UNTYPED = ("", "application/octet-stream", "application/zip")


@dataclass(frozen=True, slots=True)
class DocumentFile:
    """A document as a `data:` URL with its own media type; `tokens` is about what it is for a model."""

    kind: str
    url: str
    tokens: int


def document_of(part: FilePart) -> DocumentFile | None:
    """The document in a file, if it is one that a provider may read."""
    head, comma, data = part.url.partition(",")
    if head[:5].lower() != "data:" or not comma or len(part.url) > MAX_DOCUMENT:
        return None
    said, *options = head[5:].split(";")
    kind = _kind(said.strip().lower(), part.name or "")
    if kind is None or "base64" not in options:
        return None
    try:
        content = base64.b64decode(data, validate=True)
    except (binascii.Error, ValueError):
        return None
    tokens = _tokens(kind, content)
    return None if tokens is None else DocumentFile(kind, f"data:{kind};base64,{data}", tokens)


def _kind(said: str, name: str) -> str | None:
    if said in _KINDS.values():
        return said
    ending = name[name.rfind(".") :].lower() if "." in name else ""
    return _KINDS.get(ending) if said in _UNTYPED else None


def _tokens(kind: str, content: bytes) -> int | None:
    """About how many tokens; None for what a provider would refuse."""
    if kind != "application/pdf":
        return len(content) // 8 + 500 if content.startswith(b"PK\x03\x04") else None
    if b"%PDF-" not in content[:1024] or b"/Encrypt" in content:
        return None
    pages = len(_PAGE.findall(content)) or len(content) // _BYTES_PER_PAGE + 1
    return None if pages > MAX_PAGES else pages * PAGE_TOKENS
