"""A report of usage as a table of 80 columns, with what is not known said below it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from process_agent.metering.report import By, Line
from process_agent.metering.words import pieces_text
from process_agent.viewer.terminal.plain import one_line

WIDTH: Final = 80

_HEADS: Final = ("calls", "input", "cached", "output", "reasoning", "cost")

EXPLAINED: Final = "cached is part of input, reasoning of output"


def as_table(lines: Sequence[Line], total: Line | None, by: By, names: Mapping[str, str]) -> Iterator[str]:
    """The lines of the table; `names` are those of threads, by their paths."""
    if total is None:
        yield "No usage is kept of this."
        return
    rows = [(_label(line, by, names), *_figures(line)) for line in lines]
    rows.append((total.key, *_figures(total)))
    figures = [(*_HEADS,), *(row[1:] for row in rows)]
    widths = [max(len(cells[n]) for cells in figures) for n in range(len(_HEADS))]
    room = WIDTH - sum(widths) - 2 * len(widths)
    room = max(min(room, max(len(label) for label, *_ in rows)), len(by))
    yield _row(by, _HEADS, room, widths)
    for label, *cells in rows[:-1]:
        yield _row(one_line(label, room), cells, room, widths)
    yield "-" * (room + sum(widths) + 2 * len(widths))
    yield _row(total.key, rows[-1][1:], room, widths)
    yield ""
    yield from _notes(total)


def _row(label: str, cells: Sequence[str], room: int, widths: Sequence[int]) -> str:
    figures = "".join(f"  {cell:>{width}}" for cell, width in zip(cells, widths, strict=True))
    return f"{label:<{room}}{figures}"


def _label(line: Line, by: By, names: Mapping[str, str]) -> str:
    if by == "turn":
        at = line.last.astimezone().strftime("%m-%d %H:%M")
        return f"{at} {_thread(line.thread, names)}"
    return _thread(line.thread, names) if by == "thread" else line.key


def _thread(path: str, names: Mapping[str, str]) -> str:
    """The name of a thread that is listed, the end of its path where it is not any more."""
    return names.get(path) or path.rpartition("/")[2]


def _figures(line: Line) -> tuple[str, ...]:
    usage = line.usage
    counts = (usage.input, usage.cached, usage.output, usage.reasoning)
    return (f"{line.calls:,}", *map(_tokens, counts), _cost(line))


def _tokens(count: int) -> str:
    return f"{count:,}" if count < 10_000_000 else f"{count / 1e6:,.1f}M"


def _cost(line: Line) -> str:
    if line.cost is None:
        return "unknown"
    more = "+" if line.unpriced or line.untold or line.pieces else ""
    return f"${line.cost:,.4f}{more}" if line.cost < 100 else f"${line.cost:,.2f}{more}"


def _notes(total: Line) -> Iterator[str]:
    yield EXPLAINED
    for name, calls in sorted(total.unpriced.items()):
        yield f"no price known for {name} ({_calls(calls)}): not in the cost"
    if total.untold:
        yield f"{_calls(total.untold)} broke off before the provider said what they used: not in the cost"
    if (pieces := pieces_text(total)) is not None:
        yield pieces.removesuffix(".")


def _calls(count: int) -> str:
    return "1 call" if count == 1 else f"{count:,} calls"
