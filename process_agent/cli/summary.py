"""What `process join` prints when the agent is ready."""

from __future__ import annotations

import json
from collections.abc import Sequence

type Lines = Sequence[tuple[str, str]]
"""Label and text, in order."""


def as_text(lines: Lines) -> str:
    """Aligned, one fact per line."""
    width = max(len(label) for label, _ in lines)
    return "\n".join(f"{label:<{width}}  {text}" for label, text in lines)


def as_json(lines: Lines) -> str:
    """One object; labels become keys like `working_folder`. A label that comes twice keeps both texts."""
    facts: dict[str, str] = {}
    for label, text in lines:
        key = label.replace(" ", "_")
        facts[key] = f"{facts[key]}; {text}" if key in facts else text
    return json.dumps(facts)
