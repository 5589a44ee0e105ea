"""Documents that people attach, as models get them."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from process_agent.core.content import FilePart
from process_agent.core.documents import MAX_DOCUMENTS, MAX_PAGES, document_of
from process_agent.core.events import EndReason, TurnEnded
from process_agent.core.providers import parse_providers
from tests.contract.codex_room import script
from tests.fakes.llm_room import MODELS, llm_room
from tests.fakes.pdf import pdf

PDF = b"%PDF-1.4\n1 0 obj <</Type /Page>> endobj 2 0 obj <</Type /Pages>> endobj\n%%EOF"
DOCX = b"PK\x03\x04" + b"x" * 100
WORD = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"


def file(data: bytes, name: str = "a.pdf", kind: str = "application/pdf") -> FilePart:
    return FilePart(f"data:{kind};base64,{base64.b64encode(data).decode()}", name, f"/copies/{name}")


async def sent(tmp_path: Path, dialect: str, *files: FilePart) -> tuple[Any, list[Any]]:
    """The body of a request with these files, and the parts of its message."""
    async with llm_room(tmp_path) as room:
        thread = await room.thread()
        await room.turn(thread, script({"say": "ok"}), files=files, model=MODELS[dialect])
        body = room.model.requests[-1].body
    items = body.get("input") or body["messages"]
    content = next(item["content"] for item in items if item["role"] == "user")
    return body, [{"type": "text", "text": content}] if isinstance(content, str) else content


async def test_a_pdf_is_a_document_where_the_provider_reads_it(tmp_path: Path) -> None:
    data = base64.b64encode(PDF).decode()
    _, parts = await sent(tmp_path, "responses", file(PDF))
    assert {
        "type": "input_file",
        "filename": "a.pdf",
        "file_data": f"data:application/pdf;base64,{data}",
    } in parts
    assert "[The file a.pdf is at /copies/a.pdf.]" in json.dumps(parts)
    _, parts = await sent(tmp_path, "messages", file(PDF))
    (document,) = [part for part in parts if part["type"] == "document"]
    assert document["source"] == {"type": "base64", "media_type": "application/pdf", "data": data}
    assert document["title"] == "a.pdf"
    body, _ = await sent(tmp_path, "chat", file(PDF))
    assert data not in json.dumps(body)
    assert "[The file a.pdf is at /copies/a.pdf; commands can read it.]" in json.dumps(body)


async def test_where_the_provider_reads_none_its_text_is_told_once_it_is_needed(tmp_path: Path) -> None:
    many = [file(pdf(f"Pears cost {number}."), f"{number}.pdf") for number in (41, 42)]
    async with llm_room(tmp_path) as room:
        thread = await room.thread()
        await room.turn(thread, script({"say": "ok"}), files=many, model=MODELS["responses"])
        assert "Pears cost" not in json.dumps(room.model.requests[-1].body)
        for _ in range(2):
            told = await room.turn(thread, script({"say": "ok"}), model=MODELS["chat"])
        asked = json.dumps(room.model.requests[-1].body)
        for number in (41, 42):
            assert f'<file name=\\"{number}.pdf\\" pages=\\"1\\">' in asked
            assert asked.count(f"Pears cost {number}.") == 1
            assert f"[The file {number}.pdf is at /copies/{number}.pdf.]" in asked
        assert told.end.reason is EndReason.COMPLETED
        await room.turn(thread, script({"say": "ok"}), model=MODELS["responses"])
        last = json.dumps(room.model.requests[-1].body)
        assert "Pears cost" not in last, "who reads the file itself gets it"
        assert last.count('"input_file"') == 2


async def test_pdfs_without_a_text_are_said_to_have_none(tmp_path: Path) -> None:
    body, _ = await sent(tmp_path, "chat", file(pdf("", "")), file(PDF, "b.pdf"))
    assert "[The PDF a.pdf has no text on its 2 pages; they may be images.]" in json.dumps(body)
    assert "[Of the PDF b.pdf there is no text: its text cannot be read" in json.dumps(body)


async def test_other_documents_are_for_those_who_read_them(tmp_path: Path) -> None:
    for kind in (WORD, "application/octet-stream"):
        body, _ = await sent(tmp_path, "responses", file(DOCX, "b.docx", kind))
        assert f"data:{WORD};base64," in json.dumps(body)
    body, _ = await sent(tmp_path, "messages", file(DOCX, "b.docx", WORD))
    assert '"document"' not in json.dumps(body)
    assert "[The file b.docx is at /copies/b.docx; commands can read it.]" in json.dumps(body)


@pytest.mark.parametrize(
    "data", [b"no pdf", PDF + b"/Encrypt 5 0 R", b"%PDF-1.4" + b"<</Type /Page>>" * (MAX_PAGES + 1)]
)
async def test_what_a_provider_would_refuse_is_named_only(tmp_path: Path, data: bytes) -> None:
    assert document_of(file(data)) is None
    body, _ = await sent(tmp_path, "responses", file(data))
    assert "input_file" not in json.dumps(body)
    assert "commands can read it" in json.dumps(body)


async def test_a_message_has_so_many_documents(tmp_path: Path) -> None:
    files = [file(PDF, f"{number}.pdf") for number in range(MAX_DOCUMENTS + 1)]
    body, _ = await sent(tmp_path, "responses", *files)
    assert json.dumps(body).count('"input_file"') == MAX_DOCUMENTS


async def test_a_document_that_was_refused_does_not_spoil_what_comes_after(tmp_path: Path) -> None:
    async with llm_room(tmp_path) as room:
        thread = await room.thread()
        failing = script({"fault": 400, "code": "invalid_request_error", "message": "bad file"})
        told = await room.turn(thread, failing, files=[file(PDF)])
        end = told.events[-1]
        assert isinstance(end, TurnEnded)
        assert end.error is not None
        assert "told only the names of the documents" in end.error.message
        told = await room.turn(thread, script({"say": "fine"}))
        assert told.events[-1] == TurnEnded(EndReason.COMPLETED)
        assert '"input_file"' not in json.dumps(room.model.requests[-1].body)
        assert "commands can read it" in json.dumps(room.model.requests[-1].body)


def test_a_provider_says_what_it_reads() -> None:
    own = {"base_url": "https://x", "documents": ["application/pdf"]}
    provider = parse_providers({"providers": {"x": own}}, {}, "f")["x"]
    assert (provider.reads("application/pdf"), provider.reads(WORD)) == (True, False)
