"""What a person reads in the HTML of a mail, as plain text.

The standard parser and a few rules are enough for mail: paragraphs, lists, tables by line, links with their
address. What the page hides from people is left out, so that nobody can whisper to the model that way.
"""

from __future__ import annotations

import re
from html.parser import HTMLParser

MAX_HTML = 300_000
"""Characters of HTML that are read."""

MAX_LINK = 500
"""Characters of a link's address; longer ones are tracking, and left out."""

_SILENT = frozenset({"script", "style", "head", "title", "template", "noscript", "svg", "object", "iframe"})
_BLOCKS = frozenset(
    ["address", "article", "blockquote", "dd", "div", "dl", "dt", "footer", "form", "h1", "h2", "h3", "h4",
     "h5", "h6", "header", "hr", "li", "main", "ol", "p", "pre", "section", "table", "tr", "ul"]
)  # fmt: skip
_APART = frozenset({"p", "h1", "h2", "h3", "h4", "h5", "h6", "ul", "ol", "table", "blockquote", "pre", "dl"})
MAX_HIDDEN = 200
"""Elements inside each other that are hidden; deeper ones are hidden with the last of these."""

_VOID = frozenset(
    ["area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr"]
)
_HIDING = re.compile(r"display\s*:\s*none|visibility\s*:\s*hidden|font-size\s*:\s*0(?![.\d]*[1-9])")


def html_to_text(html: str) -> str:
    """The text of a page; never raises."""
    reader = _Reader()
    reader.feed(html[:MAX_HTML])
    reader.close()
    return reader.text()


class _Reader(HTMLParser):
    """Collects pieces; `_hidden` are the open elements from the outermost hidden one on."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self._pieces: list[str] = []
        self._hidden: list[str] = []
        self._pre = 0
        self._link: str | None = None
        self._link_from = 0

    def text(self) -> str:
        lines = [line.rstrip() for line in "".join(self._pieces).splitlines()]
        return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        if tag == "body":  # a head need not be closed
            self._hidden.clear()
        if self._hidden or tag in _SILENT or _is_hidden(values):
            if tag not in _VOID and len(self._hidden) < MAX_HIDDEN:
                self._hidden.append(tag)
            return
        if tag in _BLOCKS:
            self._break(tag in _APART)
        self._begin(tag, values)

    def _begin(self, tag: str, values: dict[str, str | None]) -> None:
        match tag:
            case "br":
                self._put("\n")
            case "li":
                self._put("- ")
            case "td" | "th":
                self._put(" ")
            case "pre":
                self._pre += 1
            case "a":
                self._link, self._link_from = values.get("href"), len(self._pieces)
            case "img":
                self._put(f"[{alt}]" if (alt := (values.get("alt") or "").strip()) else "")

    def handle_endtag(self, tag: str) -> None:
        if self._hidden:
            self._close_hidden(tag)
            return
        if tag == "a":
            self._end_link()
        if tag == "pre":
            self._pre = max(0, self._pre - 1)
        if tag in _BLOCKS:
            self._break(tag in _APART)

    def handle_data(self, data: str) -> None:
        if self._hidden:
            return
        if self._pre:
            self._put(data)
            return
        words = " ".join(data.split())
        before = " " if data[:1].isspace() and not self._at_line_start() else ""
        after = " " if words and data[-1:].isspace() else ""
        self._put(before + words + after)

    def _close_hidden(self, tag: str) -> None:
        # Elements that were not closed themselves end with the one around them.
        if tag in self._hidden:
            while self._hidden.pop() != tag:
                pass

    def _end_link(self) -> None:
        href, self._link = self._link, None
        if href is None or not href.startswith(("http://", "https://", "mailto:")) or len(href) > MAX_LINK:
            return
        shown = "".join(self._pieces[self._link_from :]).strip()
        if shown and shown not in (href, href.removeprefix("mailto:")):
            self._put(f" ({href})")
        elif not shown:
            self._put(href)

    def _break(self, apart: bool) -> None:
        if self._pieces:
            self._put("\n\n" if apart else "" if self._at_line_start() else "\n")

    def _at_line_start(self) -> bool:
        return not self._pieces or self._pieces[-1].endswith("\n")

    def _put(self, piece: str) -> None:
        if piece:
            self._pieces.append(piece)


def _is_hidden(attributes: dict[str, str | None]) -> bool:
    style = (attributes.get("style") or "").lower()
    return "hidden" in attributes or _HIDING.search(style) is not None
