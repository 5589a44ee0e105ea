"""`docs/benchmarks.md`: what was measured now takes the place of what was measured before; the rest stays."""

from __future__ import annotations

import re

HEAD = (
    "# Benchmarks\n\n"
    "Made by `make bench` (`python -m benchmarks --install-reference --write`, which takes names of "
    "sections, too). Ratios are of medians, side by side in one run. The reference is `{reference}`. "
    "Each section says when it was measured and how busy the machine was.\n"
)
_SECTION = re.compile(r"^## ", re.MULTILINE)


def page(before: str, measured: dict[str, str], reference: str, about: str) -> str:
    """The new page. `measured` has the text of each section, its heading included, by its title; `about` says
    when and where.
    """
    sections = dict(_sections(before))
    for title, text in measured.items():
        sections[title] = f"{text.strip()}\n\nMeasured {about}"
    return "\n\n".join([HEAD.format(reference=reference).strip(), *sections.values()]) + "\n"


def _sections(text: str) -> list[tuple[str, str]]:
    parts = _SECTION.split(text)[1:]
    return [(part.partition("\n")[0].strip(), f"## {part.strip()}") for part in parts]
