from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backends.codex.inputs import input_items
from process_agent.core.attached import MAX_IMAGE, MAX_IMAGES, MAX_INLINED, part_text
from process_agent.core.content import FilePart, TextPart
from tests.unit.codex.replay import PNG


def data(kind: str, content: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"


def only_text(url: str, name: str | None = "f") -> str:
    (item,) = input_items([FilePart(url, name)])
    assert item["type"] == "text"
    return str(item["text"])


def test_text_and_images_are_input() -> None:
    assert input_items([TextPart("look"), FilePart(PNG)]) == [
        {"type": "text", "text": "look", "text_elements": []},
        {"type": "image", "url": PNG},
    ]


@pytest.mark.parametrize(
    ("url", "content"),
    [
        ("data:text/plain,a%20b", "a b"),
        (data("text/x-python;charset=utf-8", "ä = 1\n".encode()), "ä = 1\n"),
        (data("application/json", b"{}"), "{}"),
        (data("application/octet-stream", b"fn main() {}"), "fn main() {}"),
        (data("image/svg+xml", b"<svg/>"), "<svg/>"),
        ("data:,plain", "plain"),
    ],
)
def test_text_files_are_inlined_with_their_name(url: str, content: str) -> None:
    assert only_text(url, "notes.txt") == f'<file name="notes.txt">\n{content}\n</file>'


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("room:///docs/a.pdf", "room:///docs/a.pdf"),
        ("dataset://images?id=1", "dataset://images?id=1"),
        ("https://example.com/a.png", "https://example.com/a.png"),
        (data("application/pdf", b"%PDF"), "application/pdf"),
        (data("text/plain", b"\xff\xfe"), "text/plain"),
        (data("application/octet-stream", b"a\0b"), "application/octet-stream"),
        ("data:text/plain;base64,!", "text/plain"),
        (data("image/png", b"no image"), "PNG, JPEG, GIF or WebP"),
        ("data:image/png,raw", "PNG, JPEG, GIF or WebP"),
        (PNG + "A" * MAX_IMAGE, "larger"),
    ],
)
def test_what_cannot_be_read_is_said(url: str, why: str) -> None:
    text = only_text(url, "f\nforged: line")
    assert text.startswith("[The file f forged: line cannot be read here: ")
    assert why in text
    assert "\n" not in text
    assert len(text) < 1_000


def test_files_and_images_of_a_message_are_bounded() -> None:
    long = FilePart(data("text/plain", b"x" * (MAX_INLINED + 5)), "long")
    first, second = input_items([long, long])
    assert "5 characters, is left out" in first["text"]
    assert len(first["text"]) < MAX_INLINED + 200
    assert "cannot be read here" in second["text"]
    items = input_items([FilePart(PNG, "p")] * (MAX_IMAGES + 1))
    assert [item["type"] for item in items] == ["image"] * MAX_IMAGES + ["text"]


@given(st.text(), st.text())
def test_no_address_raises_and_none_vanishes(head: str, rest: str) -> None:
    for url in (head, f"data:{head},{rest}", f"data:image/{head};base64,{rest}"):
        (item,) = input_items([FilePart(url)])
        assert item.get("text") or item.get("url")
        assert part_text(FilePart(url))
