"""What the command line says about one turn beside its text."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from process_agent.cli.model_flags import effort_word
from process_agent.errors import UsageError

if TYPE_CHECKING:
    from process_agent.core.requests import TurnOptions

MAX_SCHEMA = 100_000
"""Bytes of a schema, as agents take it."""


def turn_options(effort: str | None, output_schema: Path | None) -> TurnOptions:
    """The options of a turn. Raises `UsageError`."""
    from process_agent.core.requests import TurnOptions

    return TurnOptions(
        effort=None if effort is None else effort_word("--effort", effort),
        output_schema=None if output_schema is None else read_schema(output_schema),
    )


def read_schema(path: Path) -> dict[str, Any]:
    """The JSON schema in a file. Raises `UsageError` when it is none."""
    try:
        data = path.read_bytes()
        schema = json.loads(data)
    except OSError as error:
        raise UsageError(f"--output-schema {path} cannot be read: {error.strerror}.") from error
    except (ValueError, RecursionError) as error:
        raise UsageError(f"--output-schema {path} is not JSON: {error}.") from error
    if not isinstance(schema, dict) or len(data) > MAX_SCHEMA:
        raise UsageError(f"--output-schema {path} is not a JSON object of at most {MAX_SCHEMA} bytes.")
    return schema
