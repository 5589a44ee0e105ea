"""The HTML form of an answer: Markdown, and nothing that loads or runs when the mail is opened. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Final

from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.token import Token

_PAGE: Final = '<!DOCTYPE html>\n<html><head><meta charset="utf-8"></head><body>\n{}</body></html>\n'


def html_answer(markdown: str) -> str:
    """A whole page. HTML in the text shows as text, links go to http, https and mailto only, and images
    become links: a picture that loads would tell its server who reads the mail.
    """
    return _PAGE.format(_markdown().render(markdown))


def _markdown() -> MarkdownIt:
    made = MarkdownIt("commonmark", {"html": False, "breaks": True}).enable(["table", "strikethrough"])
    # Replacing the method is how markdown-it is told which links are good.
    made.validateLink = _is_plain_link  # type: ignore[method-assign]
    made.add_render_rule("image", _image)
    return made


def _is_plain_link(url: str) -> bool:
    return url.strip().lower().startswith(("http://", "https://", "mailto:"))


def _image(self: RendererHTML, tokens: Sequence[Token], index: int, options: object, env: object) -> str:
    token = tokens[index]
    address = str(token.attrs.get("src") or "")
    return f'<a href="{escape(address)}">{escape(token.content or address)}</a>'
