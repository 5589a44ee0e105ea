"""Queue messages on disk: one SQLite file per room.

Every change is committed before it is answered, so a killed server loses nothing; a power failure may take
the last moments with it.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path

MAX_QUEUES = 1024
"""Most queues of one room."""

MAX_MESSAGES = 100_000
"""Most messages waiting in one queue."""

MAX_MESSAGE_BYTES = 4 * 1024 * 1024
"""Longest queue message, as JSON text."""

_SCHEMA = """
CREATE TABLE IF NOT EXISTS queue (name TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS message (
    id INTEGER PRIMARY KEY AUTOINCREMENT, queue TEXT NOT NULL, body BLOB NOT NULL
);
CREATE INDEX IF NOT EXISTS message_queue ON message (queue, id);
"""


class QueueStore:
    """The queues of one room. Opened at the first use; not thread-safe."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._opened: sqlite3.Connection | None = None

    def sizes(self) -> dict[str, int]:
        """All queues and how many messages wait in each."""
        rows = self._connection.execute(
            "SELECT name, (SELECT count(*) FROM message WHERE queue = name) FROM queue ORDER BY name"
        )
        return dict(rows.fetchall())

    def exists(self, name: str) -> bool:
        """Whether there is such a queue."""
        row = self._connection.execute("SELECT 1 FROM queue WHERE name = ?", (name,)).fetchone()
        return row is not None

    def size(self, name: str) -> int:
        """How many messages wait."""
        row = self._connection.execute("SELECT count(*) FROM message WHERE queue = ?", (name,)).fetchone()
        return int(row[0])

    def create(self, name: str) -> None:
        """Make a queue, unless it is there."""
        self._connection.execute("INSERT OR IGNORE INTO queue VALUES (?)", (name,))

    def drop(self, name: str) -> None:
        """Remove a queue and its messages."""
        self.drain(name)
        self._connection.execute("DELETE FROM queue WHERE name = ?", (name,))

    def drain(self, name: str) -> None:
        """Remove the messages of a queue."""
        self._connection.execute("DELETE FROM message WHERE queue = ?", (name,))

    def put(self, name: str, body: bytes) -> None:
        """Add a message at the end."""
        self._connection.execute("INSERT INTO message (queue, body) VALUES (?, ?)", (name, body))

    def take(self, name: str) -> bytes | None:
        """Remove and return the oldest message."""
        row = self._connection.execute(
            "DELETE FROM message WHERE id = (SELECT min(id) FROM message WHERE queue = ?) RETURNING body",
            (name,),
        ).fetchone()
        return None if row is None else bytes(row[0])

    def close(self) -> None:
        """Close the file."""
        if self._opened is not None:
            self._opened.close()
            self._opened = None

    @property
    def _connection(self) -> sqlite3.Connection:
        if self._opened is None:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            connection = sqlite3.connect(self._path, autocommit=True)
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = NORMAL")
            connection.executescript(_SCHEMA)
            self._opened = connection
        return self._opened
