"""Places in a thread where a page of older turns ends.

A cursor is good for the log that gave it out and until the thread is cleared, so that nobody reads what was
cleared by naming an old place, or a made-up one.
"""

from __future__ import annotations

import secrets

from process_agent.errors import RoomRequestError
from process_agent.threads.paths import NOT_FOUND


class Cursors:
    """The cursors of one log between two clearings."""

    def __init__(self) -> None:
        self._key = secrets.token_hex(8)

    def of(self, row: int) -> str:
        """The cursor of a row; what is before it is older."""
        return f"{self._key}.{row}"

    def row(self, cursor: str) -> int:
        """The row of a cursor. Raises `RoomRequestError` for one that is not ours."""
        key, _, row = cursor.partition(".")
        if key != self._key or not (row.isascii() and row.isdigit()) or len(row) > 18:
            raise RoomRequestError(
                "These older turns cannot be shown any more; open the thread again.", code=NOT_FOUND
            )
        return int(row)
