"""PDFs for providers that read none: their text in place of the file."""

from __future__ import annotations

import asyncio
import base64
import binascii
from collections.abc import Iterable
from typing import Final

from backends.llm.estimates import of_text
from process_agent.core.providers import ModelProvider
from process_agent.errors import ToolFailedError
from process_agent.io import pdf_text
from process_agent.wire.llm.request import Document, Item, Message, split_data_url

PDF: Final = "application/pdf"

AT_ONCE: Final = 2
"""PDFs that are read at the same time, each by a process of its own."""


def unread(items: Iterable[Item], provider: ModelProvider) -> list[Document]:
    """The PDFs that this provider does not read, and whose text nobody has looked for yet."""
    if provider.reads(PDF) or not pdf_text.available():
        return []
    return [
        part
        for item in items
        if isinstance(item, Message)
        for part in item.parts
        if isinstance(part, Document) and not part.looked_into and _kind(part) == PDF
    ]


async def looked_into(documents: Iterable[Document]) -> dict[str, Document]:
    """The documents with their text, by address; or with a line that says why there is none."""
    gate = asyncio.Semaphore(AT_ONCE)

    async def one(document: Document) -> Document:
        async with gate:
            return await _with_text(document)

    found = {document.url: document for document in documents}
    read = await asyncio.gather(*map(one, found.values()))
    return {document.url: document for document in read}


async def _with_text(document: Document) -> Document:
    name = (document.name or "document").replace('"', "'")
    try:
        data = base64.b64decode(document.url.partition(",")[2], validate=True)
        read = await pdf_text.pdf_text(data)
    except (ToolFailedError, binascii.Error) as error:
        text = f"{document.text}\n[Of the PDF {name} there is no text: {error}.]"
        return Document(document.url, document.name, text, document.tokens, True)
    if not read.text:
        text = f"{document.text}\n[The PDF {name} has no text on its {read.pages} pages; they may be images.]"
        return Document(document.url, document.name, text, document.tokens, True)
    text = f'<file name="{name}" pages="{read.pages}">\n{read.text}\n</file>'
    return Document(document.url, document.name, text, of_text(text), True)


def _kind(document: Document) -> str:
    return (split_data_url(document.url) or ("", ""))[0]
