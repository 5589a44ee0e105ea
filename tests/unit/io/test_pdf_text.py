"""The text of PDFs, read by a process of its own: what is in it, and what hostile files cannot do."""

from __future__ import annotations

import zlib

import pytest

from process_agent.errors import ToolFailedError
from process_agent.io import pdf_text, pdf_text_child
from tests.fakes.pdf import pdf


async def test_the_text_page_by_page() -> None:
    read = await pdf_text.pdf_text(pdf("Apples cost 41.", "", "Pears cost 42."))
    assert (read.texts, read.pages, read.cut) == (("Apples cost 41.", "", "Pears cost 42."), 3, False)
    assert read.text == "[page 1]\nApples cost 41.\n[page 3]\nPears cost 42."
    assert (await pdf_text.pdf_text(pdf(""))).text == ""


async def test_pages_and_characters_have_a_limit() -> None:
    many = await pdf_text.pdf_text(pdf(*["x"] * (pdf_text_child.MAX_PAGES + 1)))
    assert (len(many.texts), many.pages) == (pdf_text_child.MAX_PAGES, pdf_text_child.MAX_PAGES + 1)
    assert many.text.endswith("[The rest is left out: 200 of 201 pages were read.]")
    long = await pdf_text.pdf_text(pdf("y" * 60_000, "z" * 60_000, "never"))
    assert (len(long.texts), long.cut) == (2, True)
    assert sum(map(len, long.texts)) == pdf_text_child.MAX_TEXT


def bomb() -> bytes:
    """A page whose content is far larger than the file."""
    packed = zlib.compress(b" " * 300_000_000, 1)
    head = f"<</Length {len(packed)} /Filter /FlateDecode>>\nstream\n".encode()
    body = pdf("replaced")
    at = body.index(b"5 0 obj\n") + len(b"5 0 obj\n")
    return body[:at] + head + packed + b"\nendstream\nendobj\n" + body[body.index(b"xref") :]


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"no pdf at all", "its text cannot be read"),
        (b"", "its text cannot be read"),
        (b"%PDF-1.4\n" + b"[" * 200_000, "its text cannot be read"),
    ],
)
async def test_what_is_no_pdf_is_said_in_words(data: bytes, said: str) -> None:
    with pytest.raises(ToolFailedError, match=said):
        await pdf_text.pdf_text(data)


async def test_a_process_that_takes_too_long_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pdf_text, "SECONDS", 0.01)
    with pytest.raises(ToolFailedError, match=r"within 0\.01 s"):
        await pdf_text.pdf_text(pdf("x"))


async def test_a_page_that_unpacks_to_much_more_hurts_only_its_own_process() -> None:
    with pytest.raises(ToolFailedError, match="its text cannot be read"):
        await pdf_text.pdf_text(bomb())
