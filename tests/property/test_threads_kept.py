"""Threads as files: what is exported is imported without loss; documents hold whatever was said as text."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser

from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from process_agent.core.ids import ThreadId
from process_agent.core.store import ThreadEntry
from process_agent.threads.kept.lines import Line, ThreadLine, read, write
from process_agent.threads.kept.looking import MAX_EXCERPT, excerpt, pattern_of
from process_agent.threads.kept.retention import Rule, outdated
from process_agent.threads.kept.rows import StoredRow, batches, stored_rows, to_table
from process_agent.viewer.paper.html import page
from process_agent.viewer.paper.markdown import closed, code, escaped, fenced, quoted
from process_agent.viewer.paper.parts import Paper
from process_agent.viewer.transcript import Transcript
from tests.fakes.thread_events import START, Speaker

utf8 = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=20)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
stored_data = st.one_of(
    st.dictionaries(st.text(max_size=8), json_values, max_size=4).map(
        lambda value: json.dumps(value, separators=(",", ":"))
    ),
    st.sampled_from(['{"a": 1}', '{"a":1.10}', '{"a":1e400}', '{"ü":"\\u00fc"}', '{"a":1,"a":2}', "[]", "7"]),
)
moments = st.datetimes(datetime(1971, 1, 1), datetime(2200, 1, 1)).map(lambda at: at.replace(tzinfo=UTC))


@st.composite
def rows(draw: st.DrawFn) -> list[StoredRow]:
    numbers = draw(st.lists(st.integers(0, (1 << 53) - 1), max_size=6, unique=True))
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    return [
        StoredRow(
            draw(st.none() | utf8),
            draw(utf8),
            draw(st.none() | utf8),
            number,
            (draw(moments) - epoch) // timedelta(microseconds=1),
            draw(stored_data),
            draw(st.none() | st.binary(max_size=20)),
        )
        for number in numbers
    ]


@given(rows(), utf8.filter(str.strip), utf8, st.none() | utf8, moments)
def test_what_is_written_is_read_again(
    each: list[StoredRow], name: str, path: str, owner: str | None, at: datetime
) -> None:
    lines: list[Line] = [ThreadLine(ThreadEntry(ThreadId(path), name, at, at), owner), *each]
    written = [write(line) for line in lines]
    assert all(line.isascii() and "\n" not in line for line in written)
    assert list(read(written)) == lines
    assert [write(line) for line in read(written)] == written


@given(rows())
def test_rows_go_through_tables_unchanged(each: list[StoredRow]) -> None:
    assert list(stored_rows(to_table(each))) == each
    assert [row for batch in batches(each) for row in batch] == each


blocks = st.lists(
    st.sampled_from(
        ["```\n", "~~~\n", "````", "- ", "  ", "    ", "> ", "\n", "\n\n", "# x\n", "<!--", "-->", "<pre>",
         "<?", "<div>\n", "<script>", "text", "`", "1. ", "|a|\n|-|\n", "==="]
    ),
    max_size=10,
).map("".join)  # fmt: skip


@given(st.one_of(st.text(max_size=60), blocks), st.one_of(st.text(max_size=60), blocks))
def test_markdown_of_the_agent_does_not_swallow_what_follows(said: str, more: str) -> None:
    tokens = MarkdownIt().parse(f"{closed(said)}\n\n## Turn 2\n\n{quoted(more)}\n\nEnd.")
    heads = [at for at, t in enumerate(tokens) if t.type == "heading_open" and t.level == 0]
    assert "Turn 2" in [tokens[at + 1].content for at in heads if tokens[at].tag == "h2"]
    assert tokens[-2].content == "End."


@given(st.text(st.characters(codec="utf-8", categories=["L", "N", "P", "S", "Zs"]), max_size=60))
def test_text_in_markdown_is_text(said: str) -> None:
    (inline,) = [t for t in MarkdownIt().parse(f"# x {escaped(said)}.") if t.type == "inline"]
    assert {child.type for child in inline.children or ()} <= {"text", "text_special"}
    flat = " ".join(said.split())
    (inline,) = [t for t in MarkdownIt().parse(f"x {code(said)} x") if t.type == "inline"]
    found = [child.content for child in inline.children or () if child.type == "code_inline"]
    assert [each.strip() for each in found] == [flat.strip()]
    (fence, *others) = MarkdownIt().parse(fenced(said, "text"))
    assert fence.type == "fence"
    assert not others


ALLOWED = {
    *("html", "head", "meta", "title", "style", "body", "main", "header", "section", "time", "div", "span"),
    *("h1", "h2", "h3", "h4", "h5", "h6", "p", "br", "hr", "a", "b", "i", "em", "strong", "s", "code", "pre"),
    *("details", "summary", "ul", "ol", "li", "table", "thead", "tbody", "tr", "th", "td", "blockquote"),
}


class _Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.links: list[str] = []
        self.texts: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}
        self.links += [str(value) for name, value in attrs if name in ("href", "src")]

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


nasty = st.lists(
    st.sampled_from(
        ["<script>alert(1)</script>", "</style>", "</pre>", "<img src=x onerror=y>", '"', "'", "&lt;", "]]>",
         "<!--", "`", "```\n", "[a](javascript:x)", "[a](http://x/)", "![a](http://x/)", "\n\n", "> ", "- ",
         "<a href='data:text/html,x'>", "|a|b|\n|-|-|\n", "\ud800", "\u202e", "\x1b[31m", "text"]
    ),
    max_size=8,
).map("".join)  # fmt: skip


@given(nasty, nasty, nasty)
def test_a_page_has_no_tag_that_somebody_wrote(name: str, asked: str, said: str) -> None:
    speaker, transcript = Speaker(), Transcript()
    for event in [*speaker.begin(asked), *speaker.text(said), speaker.end()]:
        transcript.apply(event)
    html = "".join(page(Paper(speaker.thread_id, name, START, START, transcript)))
    html.encode()
    reader = _Tags()
    reader.feed(html)
    reader.close()
    assert reader.tags <= ALLOWED
    assert not any(attribute.startswith("on") for attribute in reader.attributes)
    assert all(link.startswith(("#turn-", "http://x/")) for link in reader.links)
    assert html.count("<script") == 0


@given(st.text(max_size=500), st.integers(0, 500), st.integers(0, 50))
def test_an_excerpt_is_short_and_from_the_line(text: str, start: int, length: int) -> None:
    start = min(start, len(text))
    found = excerpt(text, start, min(start + length, len(text)))
    assert len(found) <= MAX_EXCERPT
    assert "\n" not in found


@given(st.text(max_size=30), st.text(min_size=1, max_size=5), st.text(max_size=400))
def test_a_plain_text_is_found_wherever_it_is(before: str, wanted: str, after: str) -> None:
    pattern = pattern_of(wanted, regex=False, case=True)
    found = pattern.search(before + wanted + after)
    assert found is not None
    assert found.group() == wanted


entries = st.lists(
    st.builds(
        lambda number, days: ThreadEntry(
            ThreadId(f"t{number}"), "n", START - timedelta(days=days), START - timedelta(days=days)
        ),
        st.integers(0, 30),
        st.integers(0, 200),
    ),
    max_size=20,
    unique_by=lambda entry: entry.path,
)


@given(entries, st.integers(1, 100), st.integers(0, 10))
def test_what_a_rule_lets_go(listed: list[ThreadEntry], days: int, keep: int) -> None:
    gone = outdated(listed, Rule(timedelta(days=days), keep), START)
    left = [entry for entry in listed if entry not in gone]
    assert all(START - entry.modified_at > timedelta(days=days) for entry in gone)
    assert len(left) >= min(keep, len(listed))
    assert gone == sorted(gone, key=lambda entry: (entry.modified_at, entry.path))
    if gone and left:
        kept_by_age = [e for e in left if START - e.modified_at > timedelta(days=days)]
        assert len(kept_by_age) <= keep
