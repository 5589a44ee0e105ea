"""Items of a thread as rich renderables. Pure: a renderable in, text with colours out."""

from __future__ import annotations

import mimetypes
from collections.abc import Iterable, Sequence
from io import StringIO
from typing import Literal

from rich.console import Console, RenderableType
from rich.padding import Padding
from rich.text import Text

from process_agent.core.content import FilePart, GeneratedImage, plain_text
from process_agent.core.decisions import YES_OR_NO, Decision
from process_agent.core.events import ApprovalRequested, EndReason
from process_agent.core.images import id_of
from process_agent.core.usage import ContextWindow
from process_agent.core.visible import visible
from process_agent.viewer.items import (
    MAX_PROMPT,
    AskedSecret,
    CompactionItem,
    FileItem,
    ImageItem,
    InputState,
    ReasoningItem,
    ToolItem,
    ToolState,
    Turn,
    TurnState,
    UserItem,
)
from process_agent.viewer.terminal import diffs, tools
from process_agent.viewer.terminal.plain import duration, money, one_line, printable, quantity
from process_agent.viewer.terminal.shown import ShownFile, attached_file, shown_file

FOLDED_LINES = 4
"""Output lines of a finished tool that are shown before folding."""

DIFF_LINES = 60
"""Diff lines of one change that are shown before folding."""

REASONING_LINES = 3

type ColorSystem = Literal["auto", "standard", "256", "truecolor", "windows"] | None


def to_ansi(renderables: Iterable[RenderableType], width: int, color: ColorSystem = "256") -> str:
    """What a terminal of `width` columns shows; without colours when `color` is None or NO_COLOR is set."""
    output = StringIO()
    console = Console(
        file=output,
        width=max(width, 1),
        color_system=color,
        force_terminal=color is not None,
        highlight=False,
    )
    for renderable in renderables:
        if isinstance(renderable, Text):  # print would forget how it wants to be cut
            console.print(renderable, no_wrap=renderable.no_wrap, overflow=renderable.overflow)
        else:
            console.print(renderable)
    return "\n".join(line.rstrip(" ") for line in output.getvalue().split("\n"))


def markdown(text: str) -> RenderableType:
    """Markdown of the agent."""
    from process_agent.viewer.terminal.prose import prose

    return prose(printable(text).strip("\n"))


def user(item: UserItem, me: str | None, *, saved: bool = False) -> Text:
    """What somebody said and attached; names are shown when it was not us, with `saved` what saves a file."""
    text = Text()
    if item.sender_name and item.sender_name != me:
        text.append(f"{printable(item.sender_name)} ", "bold magenta")
    text.append("› ", "bold cyan")
    text.append(printable(plain_text(item.content)).replace("\n", "\n  "), "bold")
    for part in item.content:
        if isinstance(part, FilePart):
            file = attached_file(part)
            text.append(f"\n  {_sign(part)} {file.name}", "cyan")
            if saved:
                text.append(f"  {file.command}", "dim")
    if item.state is InputState.REFUSED:
        reason = item.error.message if item.error else "the turn ended first"
        text.append(f"  (not taken up: {printable(reason)})", "red")
    elif item.steer:
        text.append("  (while it worked)", "dim")
    return text


def _sign(part: FilePart) -> str:
    """Whether a file is a picture, by its address or its name."""
    kind = mimetypes.guess_type(part.name or part.url)[0] or part.url[5:]
    return "▣" if kind.startswith("image/") or id_of(part.url) else "▤"


def reasoning(item: ReasoningItem, *, full: bool = False) -> RenderableType:
    """What the model thought: its first lines, or all."""
    lines = [line for line in printable(str(item.text)).replace("**", "").splitlines() if line.strip()]
    shown = lines if full else lines[:REASONING_LINES]
    text = Text("∴ " + "\n  ".join(shown), "dim italic")
    if len(lines) > len(shown):
        text.append(" …")
    return text


def file(item: FileItem, *, saved: bool = False) -> RenderableType:
    """Files the agent shows; with `saved` each says what saves it."""
    return _listed([(f"▤ {_address(url)}", shown_file(url)) for url in item.urls], saved=saved)


def _address(url: str) -> str:
    return f"file {_embedded(url, None)}" if url.startswith("data:") else printable(url)


def _embedded(url: str, mime_type: str | None) -> str:
    kind = mime_type or url[5:60].partition(";")[0].partition(",")[0]
    return f"{printable(kind)}, {quantity(len(url) * 3 // 4)} bytes"


def _listed(files: Sequence[tuple[str, ShownFile]], *, saved: bool) -> Text:
    found = Text(style="cyan")
    for number, (line, file) in enumerate(files):
        found.append("\n" + line if number else line)
        if saved:
            found.append(f"  {file.command}", "dim")
    return found


def image(item: ImageItem, *, saved: bool = False) -> RenderableType:
    """The images of an item, each as a line that says where it is; with `saved` also what saves it."""
    if item.state is ToolState.FAILED:
        reason = printable(item.error.message) if item.error else "no reason given"
        return Text(f"▣ no image: {reason}", "red")
    if item.state is ToolState.RUNNING:
        return Text("▣ an image is being made", "yellow")
    found = [(f"▣ {_image_line(i)}", shown_file(i.uri, i.mime_type)) for i in item.images]
    if not found:
        return Text("▣ no image", "cyan")
    listed = _listed(found, saved=saved)
    if item.prompt:
        listed.append(f"\n  {one_line(item.prompt, MAX_PROMPT)}", "dim")
    return listed


def _image_line(image: GeneratedImage) -> str:
    size = f"{image.width}×{image.height} " if image.width and image.height else ""
    if image.uri.startswith("data:"):
        return f"image {size}{_embedded(image.uri, image.mime_type)}, shown in Studio"
    kind = f"{printable(image.mime_type)}, shown in Studio: " if id_of(image.uri) and image.mime_type else ""
    return f"image {size}{kind}{printable(image.uri)}"


def compaction(item: CompactionItem, *, full: bool = False) -> RenderableType:
    """The place up to which the model remembers only a summary."""
    why = "shortened" if not item.automatic else "full, and was shortened"
    text = Text(f"── the model's memory of this thread was {why} ──", "dim")
    if full and item.summary:
        text.append("\n" + printable(item.summary))
    return text


def asked_secret(asked: AskedSecret) -> list[RenderableType]:
    """What the agent wants to know from us alone; nothing of it is cut off."""
    request = asked.request
    shown: list[RenderableType] = [Text(f"The agent asks you for {visible(request.name)}", "bold yellow")]
    if request.prompt:
        shown.append(Padding(Text(printable(request.prompt)), (0, 0, 0, 2)))
    address = (request.oauth or {}).get("authorization_endpoint")
    if isinstance(address, str):
        shown.append(Padding(Text(f"Log in at {visible(address)} and paste the code.", "bold"), (0, 0, 0, 2)))
    shown.append(Text("What you type is not shown. Enter gives it, an empty line refuses.", "dim"))
    return shown


def tool(item: ToolItem, width: int, *, full: bool = False) -> list[RenderableType]:
    """A finished tool call: one line, then its diff, plan or folded output."""
    if tools.is_notice(item):
        return [Text(f"! {one_line(tools.output_of(item) or item.ref.tool, width * 2)}", "yellow")]
    plan = tools.plan_of(item)
    if plan:
        return [_head(item, Text("Plan", "bold"), width), _plan(plan)]
    files = tools.files_of(item)
    if files:
        return diff(item, files, width, full=full)
    head = _head(item, Text(tools.title(item, max(width - 24, 20)), no_wrap=True, overflow="ellipsis"), width)
    return [head, *_folded(tools.output_of(item), full=full)]


def diff(
    item: ToolItem, files: list[diffs.FileDiff], width: int, *, full: bool = False
) -> list[RenderableType]:
    """A change of files: its summary, then the lines in colour."""
    limit = DIFF_LINES if not full else 1_000_000
    head = _head(item, diffs.summary(files, tools.mood_of(item)), width)
    return [head, *(Padding(line, (0, 0, 0, 2)) for line in diffs.body(files, limit))]


def running_tool(item: ToolItem, width: int, lines: int) -> list[RenderableType]:
    """A tool call under way: one line and the end of its output."""
    plan = tools.plan_of(item)
    if plan:
        return [_plan(plan)]
    files = tools.files_of(item)
    text = diffs.summary(files, "to do") if files else Text(tools.title(item, max(width - 4, 10)))
    head = Text.assemble(("○ ", "yellow"), text, no_wrap=True, overflow="ellipsis")
    tail = tools.output_of(item).splitlines()[-lines:] if lines else []
    return [head, *(_output_line(line) for line in tail)]


def approval(
    item: ToolItem, others: Sequence[ApprovalRequested | None] = (), waits_for: str | None = None
) -> list[RenderableType]:
    """What we have to decide, or those it `waits_for`; nothing of it is cut off. `others` wait behind it."""
    request = item.request
    if request is not None and request.questions:
        return _questions(request, others, waits_for)
    shown: list[RenderableType] = [_asked("May the agent do this?", request, others)]
    shown.append(Padding(Text(tools.question(item), "bold"), (0, 0, 0, 2)))
    shown.extend(Padding(line, (0, 0, 0, 2)) for line in diffs.body(tools.files_of(item), 20))
    if request is not None and request.reason:
        shown.append(Padding(Text(printable(request.reason)), (0, 0, 0, 2)))
    if waits_for is not None:
        return [*shown, _waits(waits_for)]
    decisions = YES_OR_NO if request is None else request.decisions
    keys = [part for key, (decision, words, style) in KEYS.items() if decision in decisions
            for part in ((key, f"bold {style}"), f" {words}   ")]  # fmt: skip
    shown.append(Text.assemble(*keys))
    return shown


def _asked(words: str, request: ApprovalRequested | None, others: Sequence[ApprovalRequested | None]) -> Text:
    """The head of a request, with the number that `/approve` takes, and what waits behind it."""
    number = f"  request {request.number}" if request is not None and request.number else ""
    return Text.assemble((words, "bold yellow"), (f"{number} {_more(others)}".rstrip(), "dim"))


def _waits(who: str) -> Text:
    return Text(f"Waits for {printable(who)}.", "dim")


def _questions(
    request: ApprovalRequested, others: Sequence[ApprovalRequested | None], waits_for: str | None
) -> list[RenderableType]:
    shown: list[RenderableType] = [_asked("The agent asks", request, others)]
    if request.reason:
        shown.append(Padding(Text(printable(request.reason)), (0, 0, 0, 2)))
    for question in request.questions:
        head = f"{question.header}: {question.text}" if question.header else question.text
        shown.append(Padding(Text(visible(head), "bold"), (0, 0, 0, 2)))
        for number, option in enumerate(question.options, 1):
            about = f"  {visible(option.description)}" if option.description else ""
            line = Text.assemble((f"{number} ", "bold green"), visible(option.label), (about, "dim"))
            shown.append(Padding(line, (0, 0, 0, 4)))
    if waits_for is not None:
        return [*shown, _waits(waits_for)]
    chosen = any(question.options for question in request.questions)
    how = "Type the number of an option, or your own words" if chosen else "Type your answer"
    each = ", one question after the other" if len(request.questions) > 1 else ""
    shown.append(Text(f"{how}{each}. /deny declines.", "dim"))
    return shown


def _more(others: Sequence[ApprovalRequested | None]) -> str:
    """What waits behind the one that is shown, by its number where it has one."""
    if not others:
        return ""
    numbers = [str(other.number) for other in others if other is not None and other.number]
    return f"(also waiting: {', '.join(numbers)})" if numbers else f"({len(others)} more waiting)"


KEYS = {
    "y": (Decision.ACCEPT, "yes, once", "green"),
    "s": (Decision.ACCEPT_FOR_SESSION, "yes, do not ask again", "green"),
    "n": (Decision.DECLINE, "no", "red"),
    "c": (Decision.CANCEL, "no, and stop", "red"),
}
"""The keys that decide about what is asked."""


def context(window: ContextWindow) -> str:
    """`context 12%`, or the tokens where nobody knows how many there may be."""
    if window.total:
        return f"context {100 * window.used // window.total}%"
    return f"context {quantity(window.used)}"


def sending(text: str) -> RenderableType:
    """A message that the agent has not acknowledged."""
    return Text(f"⋯ › {text}", "dim", no_wrap=True, overflow="ellipsis")


def footer(turn: Turn) -> RenderableType:
    """How a turn ended, how long it took and what it used."""
    parts = []
    if turn.started_at is not None and turn.ended_at is not None:
        parts.append(duration(max((turn.ended_at - turn.started_at).total_seconds(), 0)))
    if turn.usage is not None and turn.usage.total:
        parts.append(f"{quantity(turn.usage.input)} in, {quantity(turn.usage.output)} out")
    if turn.cost is not None:
        parts.append(money(turn.cost))
    if turn.model:
        parts.append(printable(turn.model))
    facts = " · ".join(parts)
    text = Text(style="dim")
    if turn.state is TurnState.REFUSED:
        text.append(f"✗ refused: {_reason(turn)}", "red not dim")
    elif turn.end is EndReason.INTERRUPTED:
        text.append("■ stopped", "yellow not dim")
    elif turn.end in (EndReason.FAILED, EndReason.LOST):
        text.append(f"✗ {turn.end}: {_reason(turn)}", "red not dim")
    else:
        text.append("✓")
    text.append(f" {facts}" if facts else "")
    return text


def notice(text: str) -> RenderableType:
    """Something the program has to say."""
    return Text(printable(text), "dim")


def warning(text: str) -> RenderableType:
    """Something the program has to say that should be noticed."""
    return Text(f"! {printable(text)}", "yellow")


def table(rows: Sequence[tuple[str, ...]]) -> RenderableType:
    """Columns of text, the last one taking the room that is left."""
    from rich.table import Table

    grid = Table.grid(padding=(0, 2))
    for position in range(max(len(row) for row in rows)):
        grid.add_column(style="bold" if position == 0 else "", overflow="fold", no_wrap=position == 0)
    for row in rows:
        grid.add_row(*(Text(printable(cell)) for cell in row))
    return grid


def _reason(turn: Turn) -> str:
    return printable(turn.error.message) if turn.error else "no reason given"


def _head(item: ToolItem, text: Text, width: int) -> Text:
    bad = tools.failed(item)
    waiting = item.state in (ToolState.RUNNING, ToolState.WAITING)
    dot = "yellow" if waiting else "red" if bad else "green"
    head = Text.assemble(("● ", dot), text, no_wrap=True, overflow="ellipsis")
    ended = tools.outcome(item)
    if ended and not tools.files_of(item):
        head.append(f"  {one_line(ended, max(width // 2, 10))}", "red" if bad else "dim")
    elif ended and bad:
        head.append(f"  {one_line(ended.partition(' · ')[0], width)}", "red")
    return head


def _folded(output: str, *, full: bool) -> list[RenderableType]:
    lines = output.splitlines()
    if full or len(lines) <= FOLDED_LINES + 1:
        return [_output_line(line, full=full) for line in lines]
    hidden = len(lines) - FOLDED_LINES
    fold = Text(f"  │ … {hidden} lines above; /output shows all", "dim italic")
    return [fold, *(_output_line(line) for line in lines[-FOLDED_LINES:])]


def _output_line(line: str, *, full: bool = False) -> Text:
    return Text(f"  │ {line}", "dim", no_wrap=not full, overflow="fold" if full else "ellipsis")


_STEPS = {
    "completed": ("☑", "green"),
    "inProgress": ("◐", "yellow"),
    "in_progress": ("◐", "yellow"),
}


def _plan(steps: list[tuple[str, str]]) -> Text:
    text = Text()
    for position, (status, step) in enumerate(steps):
        sign, style = _STEPS.get(status, ("☐", "dim"))
        text.append(("\n" if position else "") + f"  {sign} ", style)
        text.append(printable(step), "dim" if status == "completed" else "")
    return text
