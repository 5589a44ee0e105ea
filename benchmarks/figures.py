"""What was measured, and how it is shown: minimum, median, maximum and ratios."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

OURS = "process"
REFERENCE = "reference"
BARE = "bare"
EQUAL = "equal"
"""Like bare, and set up as ours is."""
ECHO = "echo"
"""A room client that says yes to everything at once: what room, viewer and machine take by themselves."""


@dataclass
class Figure:
    """One thing measured for several programs. `samples` maps a program to its values, in `unit`."""

    what: str
    unit: str
    samples: dict[str, list[float]] = field(default_factory=dict)

    def add(self, program: str, *values: float) -> None:
        """Add values of one program."""
        self.samples.setdefault(program, []).extend(values)

    def median(self, program: str) -> float | None:
        """The median of one program; None when it was not measured."""
        values = self.samples.get(program)
        return statistics.median(values) if values else None


@dataclass
class Section:
    """The figures of one benchmark. `labels` says what each program is in it; `notes` how it was done."""

    name: str
    title: str
    labels: Mapping[str, str]
    figures: list[Figure]
    notes: str


def markdown(sections: Iterable[Section]) -> str:
    """All sections as Markdown tables."""
    return "\n\n".join(_section(section) for section in sections)


def as_json(sections: Iterable[Section]) -> list[dict[str, object]]:
    """All sections with every sample."""
    return [
        {
            "name": section.name,
            "title": section.title,
            "programs": dict(section.labels),
            "notes": section.notes,
            "figures": [
                {"what": figure.what, "unit": figure.unit, "samples": figure.samples}
                for figure in section.figures
            ],
        }
        for section in sections
    ]


def _section(section: Section) -> str:
    lines = [
        f"## {section.title}",
        "",
        section.notes,
        "",
        "| | program | min | median | max | × bare | × reference |",
        "|---|---|--:|--:|--:|--:|--:|",
    ]
    for figure in section.figures:
        what = f"{figure.what}, {figure.unit}" if figure.unit else figure.what
        for program, label in section.labels.items():
            values = figure.samples.get(program)
            if values:
                cells = (min(values), statistics.median(values), max(values))
                shown = " | ".join(_number(value) for value in cells)
                ratios = " | ".join(_ratio(figure, program, other) for other in (BARE, REFERENCE))
                lines.append(f"| {what} | {label} | {shown} | {ratios} |")
                what = ""
    return "\n".join(lines)


def _ratio(figure: Figure, program: str, other: str) -> str:
    mine, theirs = figure.median(program), figure.median(other)
    if mine is None or not theirs or program == other:
        return ""
    return f"{mine / theirs:.2f}"


def _number(value: float) -> str:
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"
