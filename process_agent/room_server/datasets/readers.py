"""Who reads which table: the files of its old versions stay until nobody does."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Iterator

from process_agent.room_server.datasets.names import TableKey


class Readers:
    """Counts them."""

    def __init__(self) -> None:
        self._of: Counter[TableKey] = Counter()

    def __contains__(self, key: TableKey) -> bool:
        return self._of[key] > 0

    @contextlib.contextmanager
    def reading(self, key: TableKey) -> Iterator[None]:
        """One more while this is held."""
        self._of[key] += 1
        try:
            yield
        finally:
            self._of[key] -= 1
            if not self._of[key]:
                del self._of[key]
