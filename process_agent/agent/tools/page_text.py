"""A page of the web as text that a model reads. Pure."""

from __future__ import annotations

import re
from typing import Final

MAX_HTML: Final = 2 * 1024 * 1024
"""Bytes of HTML that are read: reading takes about a second."""

MAX_PLAIN: Final = 6 * 1024 * 1024

_NOT_SAID: Final = ("script", "style", "noscript", "template", "svg", "iframe", "object", "canvas", "head")
_BLANK: Final = re.compile(r"\n\s*\n\s*\n+")
_TEXT_KINDS: Final = frozenset(
    {
        *("application/json", "application/xml", "application/javascript", "application/x-ndjson"),
        *("application/yaml", "application/toml", "application/ld+json", "application/rss+xml"),
    }
)


def is_html(kind: str) -> bool:
    """Whether a media type is a page."""
    return kind in ("text/html", "application/xhtml+xml")


def is_plain(kind: str) -> bool:
    """Whether a media type is text as it is."""
    return kind.startswith("text/") or kind in _TEXT_KINDS or kind.endswith(("+json", "+xml", "+yaml"))


def as_markdown(data: bytes, charset: str | None) -> tuple[str, str, bool]:
    """Title and text of a page, and whether its end was left out. Takes a while: not for the event loop."""
    from bs4 import BeautifulSoup
    from markdownify import MarkdownConverter

    tree = BeautifulSoup(data[:MAX_HTML], "html.parser", from_encoding=charset)
    title = " ".join(tree.title.get_text().split())[:300] if tree.title else ""
    for tag in tree.find_all(_NOT_SAID):
        tag.decompose()
    try:
        text = MarkdownConverter(heading_style="ATX", bullets="-").convert_soup(tree)
    except RecursionError:  # elements within elements within elements
        text = tree.get_text("\n")
    return title, _BLANK.sub("\n\n", text).strip(), len(data) > MAX_HTML


def as_text(data: bytes, charset: str | None) -> str:
    """Text as it is."""
    try:
        return data.decode(charset or "utf-8", "replace")
    except LookupError:
        return data.decode("utf-8", "replace")
