"""Values for Codex's `-c key=value` arguments, which it reads as TOML."""

from __future__ import annotations

import json
from collections.abc import Mapping

type Value = str | bool | int | Mapping[str, Value]


def text(value: str) -> str:
    """A basic string. JSON writes the same escapes, apart from U+007F, which TOML wants escaped."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007F")


def inline_table(values: Mapping[str, Value]) -> str:
    """A table on one line, with quoted keys."""
    return "{" + ", ".join(f"{text(key)} = {_value(value)}" for key, value in values.items()) + "}"


def _value(value: Value) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    return text(value) if isinstance(value, str) else inline_table(value)
