"""Log lines on standard error.

Participants choose a part of what is logged: names, ids, what a channel program prints. None of it may drive
the operator's terminal or look like a line of its own.
"""

from __future__ import annotations

import logging

MAX_RECORD = 8_000
"""Characters of one record, its traceback included; the middle of a longer one is left out."""

_INDENT = "\n    "


def log_to_stderr(
    level: int = logging.WARNING, *, layout: str = "%(levelname)s %(name)s: %(message)s"
) -> None:
    """Log from `level` on, in Python's `%` layout. Only the first call of a program counts."""
    handler = logging.StreamHandler()
    handler.setFormatter(PlainLines(layout))
    logging.basicConfig(level=level, handlers=[handler])


def log_of_an_agent() -> None:
    """What an agent that runs in the foreground logs: warnings, and good news of channels and rules."""
    log_to_stderr(layout="%(asctime)s %(levelname)s %(message)s")
    for name in ("channels", "agent.standing_rules"):
        logging.getLogger(f"process_agent.{name}").setLevel(logging.INFO)


class PlainLines(logging.Formatter):
    """A record as plain text; only its first line begins at the margin."""

    def format(self, record: logging.LogRecord) -> str:
        """See `logging.Formatter`."""
        from process_agent.viewer.terminal.plain import printable

        text = printable(super().format(record))
        if len(text) > MAX_RECORD:
            half = MAX_RECORD // 2
            text = f"{text[:half]}\n[…]\n{text[-half:]}"
        return _INDENT.join(text.splitlines())
