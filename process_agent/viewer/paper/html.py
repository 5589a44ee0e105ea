"""A thread as one page of HTML that needs nothing else: styles, diffs and images are in it. Pure.

Whatever people, agents and tools wrote is text: it is escaped, also within Markdown, and addresses become
links only when they are http, https or mailto. The page allows no script and fetches nothing, which its
content security policy also holds for whatever would be overlooked here.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, assert_never

from process_agent.core.content import FilePart, plain_text
from process_agent.viewer.items import (
    MAX_PROMPT,
    CompactionItem,
    FileItem,
    ImageItem,
    InputState,
    Item,
    MessageItem,
    ReasoningItem,
    ToolItem,
    ToolState,
    Turn,
    UserItem,
)
from process_agent.viewer.paper.parts import (
    LEFT_OUT,
    SIGNS,
    TITLE_WIDTH,
    Paper,
    changed_files,
    ending,
    failed,
    headline,
    hidden,
    outcome,
    output,
    utc,
)
from process_agent.viewer.terminal import tools
from process_agent.viewer.terminal.diffs import FileDiff
from process_agent.viewer.terminal.plain import count, one_line, printable

if TYPE_CHECKING:
    from markdown_it import MarkdownIt

POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'"

OPEN_LINES = 40
"""Lines of output up to which it is unfolded."""

MAX_NESTING = 50
"""Depth of lists and quotations in the agent's Markdown."""


def page(paper: Paper) -> Iterator[str]:
    """The page, in pieces."""
    name = text(one_line(paper.name, TITLE_WIDTH))
    yield (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta name="referrer" content="no-referrer">'
        f"<title>{name}</title><style>{_style()}</style></head><body><main>\n"
        f"<header><h1>{name}</h1><p>{text(paper.thread)}<br>Created {utc(paper.created_at)}, "
        f"last used {utc(paper.modified_at)}</p></header>\n"
    )
    if paper.cut:
        yield f'<p class="note">{LEFT_OUT}</p>\n'
    for number, turn in enumerate(paper.transcript.turns, start=1):
        when = "" if turn.started_at is None else f" <time>{utc(turn.started_at)}</time>"
        yield f'<section id="turn-{number}"><h2><a href="#turn-{number}">Turn {number}</a>{when}</h2>\n'
        for item in turn.items.values():
            yield from _item(paper, turn, item)
        bad = " bad" if failed(turn) else ""
        yield f'<p class="end{bad}">{text(ending(turn))}</p></section>\n'
    yield "</main></body></html>\n"


def _item(paper: Paper, turn: Turn, item: Item) -> Iterator[str]:
    match item:
        case UserItem():
            yield _user(paper, item)
        case MessageItem():
            yield f'<div class="agent">{prose(printable(str(item.text)))}</div>\n'
        case ReasoningItem():
            said = prose(printable(str(item.text)))
            yield f'<details class="thought"><summary>Reasoning</summary>{said}</details>\n'
        case ToolItem():
            yield from _tool(turn, item)
        case FileItem():
            yield "".join(f'<p class="file">File {_picture(paper, url)}</p>\n' for url in item.urls)
        case ImageItem():
            yield _image(paper, item)
        case CompactionItem():
            summary = prose(printable(item.summary)) if item.summary else ""
            yield f'<div class="note">What the model remembers was shortened.{summary}</div>\n'
        case _:
            assert_never(item)


def _user(paper: Paper, item: UserItem) -> str:
    how = " while it worked" if item.steer else ""
    if item.state is InputState.REFUSED:
        how += ", not taken up"
    files = "".join(
        f'<div class="file">Attached {text(printable(part.name or ""))} {_picture(paper, part.url)}</div>'
        for part in item.content
        if isinstance(part, FilePart)
    )
    said = text(printable(plain_text(item.content)))
    who = text(one_line(item.sender_name or "Somebody", 100))
    return f'<div class="user"><b>{who}</b><i>{how}</i><div class="said">{said}</div>{files}</div>\n'


def _tool(turn: Turn, item: ToolItem) -> Iterator[str]:
    if hidden(turn, item):
        return
    if tools.is_notice(item):
        said = tools.output_of(item) or tools.title(item, TITLE_WIDTH)
        yield f'<p class="note">{text(said)}</p>\n'
        return
    bad = " bad" if tools.failed(item) else ""
    files, said = changed_files(turn, item), outcome(turn, item)
    yield f'<div class="tool{bad}">'
    if said or len(files) != 1:  # the head of a single diff says it all
        yield f'<div class="call"><code>{text(headline(turn, item))}</code> <i>{text(said)}</i></div>'
    command = tools.command_of(item)
    if command is not None and ("\n" in command or len(command) > TITLE_WIDTH - 2):
        yield _folded("Command", printable(command))
    if plan := tools.plan_of(item):
        steps = (f"<li>{'☑' if status == 'completed' else '☐'} {text(step)}</li>" for status, step in plan)
        yield f'<ul class="plan">{"".join(steps)}</ul>'
    for file in files:
        yield _diff(file)
    if told := output(turn, item):
        yield _folded("Output", told)
    yield "</div>\n"


def _folded(title: str, said: str) -> str:
    lines = said.count("\n") + 1
    unfolded = " open" if lines <= OPEN_LINES else ""
    head = f"<summary>{title}, {count(lines, 'line')}</summary>"
    return f"<details{unfolded}>{head}<pre>{text(said)}</pre></details>"


def _diff(file: FileDiff) -> str:
    lines = "".join(
        f'<span class="{kind}">{text(SIGNS[kind] + printable(line))}\n</span>' for kind, line in file.lines
    )
    numbers = f'<span class="plus">+{file.added}</span> <span class="minus">−{file.removed}</span>'
    head = f"{text(file.verb)} <code>{text(printable(file.path))}</code> {numbers}"
    return f'<details class="diff" open><summary>{head}</summary><pre>{lines}</pre></details>'


def _image(paper: Paper, item: ImageItem) -> str:
    if item.state is ToolState.FAILED:
        why = item.error.message if item.error else "no reason given"
        return f'<p class="note bad">No image: {text(why)}</p>\n'
    shown = "".join(f'<p class="image">{_picture(paper, image.uri)}</p>\n' for image in item.images)
    about = f'<p class="note">{text(one_line(item.prompt, MAX_PROMPT))}</p>\n' if item.prompt else ""
    return shown + (about if shown else "")


def _picture(paper: Paper, address: str) -> str:
    """An image or a file that is in the page, or the address of what is not."""
    if (found := paper.picture(address)) is not None:
        kind, data = found
        return f'<img alt="" src="data:{text(kind)};base64,{text(data)}">'
    if (link := paper.link(address)) is not None:
        url, name = link
        return f'<a download="{text(name)}" href="{text(url)}">{text(printable(name))}</a>'
    return f"<code>{text(printable(address[:200]))}</code>"


def text(said: str) -> str:
    """Text that is nothing but text, in an element or in quotes."""
    return escape(said.encode("utf-8", "replace").decode(), quote=True)


def prose(said: str) -> str:
    """Markdown of the agent as HTML: no HTML of its own, no images from elsewhere."""
    rendered: str = _parser().render(said.encode("utf-8", "replace").decode())
    return rendered


@cache
def _style() -> str:
    return Path(__file__).with_name("page.css").read_text(encoding="utf-8")


@cache
def _parser() -> MarkdownIt:
    from markdown_it import MarkdownIt

    parser = MarkdownIt("commonmark", {"html": False, "maxNesting": MAX_NESTING})
    parser.enable(["table", "strikethrough"]).disable(["image", "html_block", "html_inline"])
    safe = ("http://", "https://", "mailto:")
    # Replacing the method is how markdown-it is told which links are good.
    parser.validateLink = lambda url: url.strip().lower().startswith(safe)  # type: ignore[method-assign]
    return parser
