"""A thread as Markdown. Pure.

What the agent wrote is Markdown already and stands as it is, but cannot swallow what follows: a fence that it
left open is closed, headings are those of the document only. What people wrote is quoted, what tools put out
is fenced with more backticks than it has itself.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
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
    headline,
    hidden,
    outcome,
    output,
    utc,
)
from process_agent.viewer.terminal import tools
from process_agent.viewer.terminal.diffs import FileDiff
from process_agent.viewer.terminal.plain import one_line, printable

if TYPE_CHECKING:
    from markdown_it import MarkdownIt

_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})([^\n]*)")
_BACKTICKS = re.compile(r"`+")
_SPECIAL = re.compile(r"([\\`*_{}\[\]<>()#+!|~&])")
_EMBEDDED = 60
"""Characters of a `data:` address that are written down."""


def markdown(paper: Paper) -> Iterator[str]:
    """The document, in pieces that each end with a line end."""
    yield f"# {escaped(one_line(paper.name, TITLE_WIDTH))}\n\n"
    yield f"{code(paper.thread)}  \nCreated {utc(paper.created_at)}, last used {utc(paper.modified_at)}\n\n"
    if paper.cut:
        yield f"*{LEFT_OUT}*\n\n"
    for number, turn in enumerate(paper.transcript.turns, start=1):
        when = "" if turn.started_at is None else f" · {utc(turn.started_at)}"
        yield f"## Turn {number}{when}\n\n"
        for item in turn.items.values():
            yield from _item(paper, turn, item)
        yield f"*{escaped(ending(turn))}*\n\n"


def _item(paper: Paper, turn: Turn, item: Item) -> Iterator[str]:
    match item:
        case UserItem():
            yield from _user(paper, item)
        case MessageItem():
            yield closed(printable(str(item.text)).strip("\n")) + "\n\n"
        case ReasoningItem():
            thought = quoted(printable(str(item.text)).strip())
            yield f"<details><summary>Reasoning</summary>\n\n{thought}\n\n</details>\n\n"
        case ToolItem():
            yield from _tool(turn, item)
        case FileItem():
            yield "".join(f"- File: {_file(paper, url)}\n" for url in item.urls) + "\n"
        case ImageItem():
            yield from _image(item)
        case CompactionItem():
            summary = "" if not item.summary else f"\n\n{quoted(printable(item.summary))}"
            yield f"*What the model remembers was shortened.*{summary}\n\n"
        case _:
            assert_never(item)


def _user(paper: Paper, item: UserItem) -> Iterator[str]:
    who = escaped(one_line(item.sender_name or "Somebody", 100))
    how = " (while it worked)" if item.steer else ""
    if item.state is InputState.REFUSED:
        how += " (not taken up)"
    yield f"**{who}**{how}\n\n"
    if text := printable(plain_text(item.content)):
        yield f"{quoted(text)}\n\n"
    files = [part for part in item.content if isinstance(part, FilePart)]
    if files:
        said = (_file(paper, part.url, part.name) for part in files)
        yield "".join(f"- Attached: {each}\n" for each in said) + "\n"


def _file(paper: Paper, url: str, name: str | None = None) -> str:
    """A link to a file that is beside the document, or what it is called."""
    link = paper.link(url)
    if link is None:
        return code(_short(name or url))
    return f"[{escaped(one_line(name or link[1], TITLE_WIDTH))}](<{link[0]}>)"


def _tool(turn: Turn, item: ToolItem) -> Iterator[str]:
    if hidden(turn, item):
        return
    if tools.is_notice(item):
        notice = tools.output_of(item) or tools.title(item, TITLE_WIDTH)
        yield f"*{escaped(one_line(notice, TITLE_WIDTH))}*\n\n"
        return
    said = outcome(turn, item)
    title = code(headline(turn, item))
    yield f"**Tool** {title}{f' — {escaped(said)}' if said else ''}\n\n"
    for status, step in tools.plan_of(item):
        yield f"- [{'x' if status == 'completed' else ' '}] {escaped(one_line(step, TITLE_WIDTH))}\n"
    if tools.plan_of(item):
        yield "\n"
    command = tools.command_of(item)
    if command is not None and "\n" in command:
        yield f"{fenced(printable(command), 'sh')}\n\n"
    for file in changed_files(turn, item):
        yield f"{code(printable(file.path))}\n\n{fenced(_diff(file), 'diff')}\n\n"
    if text := output(turn, item):
        yield f"{fenced(text, 'text')}\n\n"


def _image(item: ImageItem) -> Iterator[str]:
    if item.state is ToolState.FAILED:
        why = item.error.message if item.error else "no reason given"
        yield f"*No image: {escaped(one_line(why, TITLE_WIDTH))}*\n\n"
    for image in item.images:
        yield f"- Image: {code(_short(image.uri))}\n\n"
    if item.images and item.prompt:
        yield f"*{escaped(one_line(item.prompt, MAX_PROMPT))}*\n\n"


def _diff(file: FileDiff) -> str:
    return "\n".join(SIGNS[kind] + printable(line) for kind, line in file.lines)


def _short(address: str) -> str:
    return f"{address[:_EMBEDDED]}…" if address.startswith("data:") else printable(address)


def escaped(text: str) -> str:
    """Text on one line that is no Markdown."""
    return _SPECIAL.sub(r"\\\1", " ".join(printable(text).split()))


def code(text: str) -> str:
    """Text as code within a line, whatever backticks it has."""
    flat = one_line(text, 2_000)
    ticks = "`" * (max((len(run) for run in _BACKTICKS.findall(flat)), default=0) + 1)
    pad = " " if not flat or flat[0] in "` " or flat[-1] in "` " else ""
    return f"{ticks}{pad}{flat}{pad}{ticks}"


def fenced(text: str, language: str) -> str:
    """Text as a block of code that it cannot end itself."""
    longest = max((len(run) for run in _BACKTICKS.findall(text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}{language}\n{text}\n{fence}"


def quoted(text: str) -> str:
    """Text as a quotation; a fence in it ends with the quotation."""
    return "\n".join(f"> {line}".rstrip() for line in text.split("\n"))


def closed(text: str) -> str:
    """Markdown whose headings are below the document's own, and which is over at its end: an open fence is
    closed; what cannot be ended otherwise stands as code.
    """
    lines: list[str] = []
    fence = ""
    for line in text.split("\n"):
        found = _FENCE.match(line)
        if not fence and found is not None and not ("`" in found[2] and found[1][0] == "`"):
            fence = found[1]
        elif fence and found is not None and _ends(found, fence):
            fence = ""
        elif not fence and (level := re.match(r" {0,3}(#{1,4})(?=\s|$)", line)):
            line = f"{'#' * min(len(level[1]) + 2, 6)}{line[level.end() :]}"
        lines.append(line)
    lowered = "\n".join(lines)
    candidates = (lowered, f"{lowered}\n{fence}") if fence else (lowered,)
    return next((each for each in candidates if _is_over(each)), fenced(text, "markdown"))


def _ends(found: re.Match[str], fence: str) -> bool:
    return found[1][0] == fence[0] and len(found[1]) >= len(fence) and not found[2].strip()


def _is_over(text: str) -> bool:
    """Whether a heading after it is one: no fence, comment or element of HTML is open."""
    tokens = _parser().parse(f"{text}\n\n## .\n")
    return len(tokens) > 2 and tokens[-3].type == "heading_open" and tokens[-3].level == 0


@cache
def _parser() -> MarkdownIt:
    from markdown_it import MarkdownIt

    return MarkdownIt("commonmark")
