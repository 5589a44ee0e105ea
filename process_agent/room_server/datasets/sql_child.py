"""The process that runs one SQL query of a participant, and nothing else.

SQL can ask for any amount of memory and time, so it runs where it hurts nobody: no file or network access,
no extensions, no more configuration, bounded memory and processor time. It is started as
`python -I -m process_agent.room_server.datasets.sql_child` and talks `sql_wire` on its pipes.
"""

from __future__ import annotations

import contextlib
import json
import resource
import sys
import warnings
from collections.abc import Sequence
from typing import Any, BinaryIO, Final

import duckdb
import lance
import pyarrow as pa
from duckdb import token_type

from process_agent.room_server.datasets import arrow, sql_wire

MEMORY: Final = "256MB"
"""What the SQL engine may use for itself."""

MAX_DATA: Final = 2 * 1024 * 1024 * 1024
"""Private memory of the whole process; what the engine does not count ends here."""

MAX_CPU_SECONDS: Final = 60
_ROWS_PER_BATCH: Final = 8_192
_ALLOWED_TABLE_FUNCTIONS: Final = frozenset(("range", "generate_series", "unnest", "json_each", "json_tree"))
_SANDBOX: Final[dict[str, Any]] = {
    "enable_external_access": False,
    "autoinstall_known_extensions": False,
    "autoload_known_extensions": False,
    "allow_community_extensions": False,
    "python_enable_replacements": False,
    "max_temp_directory_size": "0KB",
    "memory_limit": MEMORY,
    "threads": 1,
}


class RefusedError(Exception):
    """The query cannot be run; the text goes to its author."""


def main() -> None:
    """Answer one request on standard input and output."""
    warnings.simplefilter("ignore")
    _limit()
    source, sink = sys.stdin.buffer, sys.stdout.buffer
    request = json.loads(_read(source, sql_wire.REQUEST))
    parameters = _read(source, sql_wire.PARAMETERS)
    try:
        _answer(request, parameters, sink)
    except (RefusedError, duckdb.Error, pa.ArrowException, MemoryError, ValueError, OSError) as error:
        payload = json.dumps({"text": str(error)[:2_000]}).encode()
        sink.write(sql_wire.frame(sql_wire.FAILED, payload))
    sink.flush()


def _answer(request: dict[str, Any], parameters: bytes, sink: BinaryIO) -> None:
    connection = duckdb.connect(":memory:", config=_SANDBOX)
    query: str = request["query"]
    kind = check(connection, query)
    datasets = {
        table["alias"]: lance.dataset(table["path"], version=table["version"]) for table in request["tables"]
    }
    target = None if kind == "SELECT" else target_of(query)
    if target is not None and target not in datasets:
        raise RefusedError(f"{target!r} is not one of the tables of this statement")
    for alias, dataset in datasets.items():
        if alias == target:
            _copy(connection, alias, dataset)
        else:
            connection.register(alias, dataset)
    values = _parameters(parameters)
    connection.execute("SET lock_configuration = true")
    if target is None:
        _send_query(connection, query, values, sink)
    else:
        _run_statement(connection, query, values, kind, target, sink)


def check(connection: duckdb.DuckDBPyConnection, query: str) -> str:
    """The kind of the only statement: SELECT, INSERT, UPDATE or DELETE. Raises `RefusedError`."""
    statements = connection.extract_statements(query)
    if len(statements) != 1:
        raise RefusedError("give exactly one SQL statement")
    kind: str = statements[0].type.name
    if kind not in ("SELECT", "INSERT", "UPDATE", "DELETE"):
        raise RefusedError(f"{kind} statements are not available; use SELECT, INSERT, UPDATE or DELETE")
    forbidden = _table_functions(connection)
    words = _words(query)
    for word, following in zip(words, [*words[1:], ""], strict=True):
        if following == "(" and word in forbidden:
            raise RefusedError(f"function {word} is not available")
    return kind


def target_of(query: str) -> str:
    """The table a statement changes. Raises `RefusedError`."""
    words = _words(query)
    depth = 0
    for index, word in enumerate(words):
        depth += (word == "(") - (word == ")")
        if depth or word not in ("into", "update", "from"):
            continue
        if word == "from" and (not index or words[index - 1] != "delete"):
            continue
        if index + 1 < len(words):
            return _names(query)[index + 1]
    raise RefusedError("the statement names no table to change")


def _table_functions(connection: duckdb.DuckDBPyConnection) -> set[str]:
    """Functions that read from somewhere, or run text as SQL; a few that only count are allowed."""
    rows = connection.execute(
        "SELECT DISTINCT function_name FROM duckdb_functions()"
        " WHERE function_type IN ('table', 'table_macro', 'pragma')"
    ).fetchall()
    return {name.lower() for (name,) in rows} - _ALLOWED_TABLE_FUNCTIONS


def _words(query: str) -> list[str]:
    return [name.lower() for name in _names(query)]


def _names(query: str) -> list[str]:
    """The query's tokens as the engine itself splits it, quotes of identifiers removed, without comments."""
    raw = query.encode()
    tokens = duckdb.tokenize(query)
    ends = [start for start, _ in tokens[1:]] + [len(raw)]
    found: list[str] = []
    for (start, kind), end in zip(tokens, ends, strict=True):
        if kind == token_type.comment:
            continue
        text = raw[start:end].decode(errors="replace").strip()
        if kind == token_type.identifier and text.startswith('"'):
            text = text[1:-1].replace('""', '"')
        found.append(text)
    return found


def _copy(connection: duckdb.DuckDBPyConnection, alias: str, dataset: lance.LanceDataset) -> None:
    connection.register("source", dataset)
    connection.execute(f"CREATE TABLE {_quoted(alias)} AS SELECT * FROM source")  # noqa: S608 - quoted
    connection.unregister("source")


def _parameters(data: bytes) -> dict[str, Any] | list[Any] | None:
    """The first row of the parameter table: by name, or by position when its columns are numbered."""
    if not data:
        return None
    rows = arrow.strip(arrow.decode_table(data)).slice(0, 1).to_pylist()
    if not rows or not rows[0]:
        return None
    names = list(rows[0])
    if all(name.isdecimal() for name in names):
        return [rows[0][name] for name in sorted(names, key=int)]
    return dict(rows[0])


def _send_query(connection: duckdb.DuckDBPyConnection, query: str, values: Any, sink: BinaryIO) -> None:
    result = connection.execute(query, values) if values is not None else connection.execute(query)
    reader = _reader(result)
    sink.write(sql_wire.frame(sql_wire.QUERY, arrow.encode_schema(reader.schema)))
    sink.flush()
    _send_rows(reader, reader.schema, sink)


def _run_statement(
    connection: duckdb.DuckDBPyConnection, query: str, values: Any, kind: str, target: str, sink: BinaryIO
) -> None:
    name = _quoted(target)
    (first,) = connection.execute(f"SELECT count(*) FROM {name}").fetchone() or (0,)  # noqa: S608 - quoted
    result = connection.execute(query, values) if values is not None else connection.execute(query)
    (affected,) = result.fetchone() or (0,)
    only_new = f" WHERE rowid >= {int(first)}" if kind == "INSERT" else ""
    reader = _reader(connection.execute(f"SELECT * FROM {name}{only_new} ORDER BY rowid"))  # noqa: S608 - quoted
    outcome = {"target": target, "action": "insert" if kind == "INSERT" else "replace", "rows": affected}
    sink.write(sql_wire.frame(sql_wire.STATEMENT, json.dumps(outcome).encode()))
    _send_rows(reader, reader.schema, sink)


def _reader(result: Any) -> pa.RecordBatchReader:
    reader: pa.RecordBatchReader = result.to_arrow_reader(_ROWS_PER_BATCH)
    return reader


def _send_rows(reader: pa.RecordBatchReader, schema: pa.Schema, sink: BinaryIO) -> None:
    for batches in arrow.sized(reader):
        sink.write(
            sql_wire.frame(sql_wire.ROWS, arrow.encode_batches(schema, [arrow.combine(schema, batches)]))
        )
        sink.flush()
    sink.write(sql_wire.frame(sql_wire.END))


def _read(source: BinaryIO, wanted: bytes) -> bytes:
    kind, length = sql_wire.HEADER.unpack(source.read(sql_wire.HEADER.size))
    if kind != wanted:
        raise RefusedError("not a request")
    return source.read(length)


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _limit() -> None:
    limits: Sequence[tuple[str, int]] = (
        ("RLIMIT_DATA", MAX_DATA),
        ("RLIMIT_CPU", MAX_CPU_SECONDS),
        ("RLIMIT_FSIZE", 0),
        ("RLIMIT_CORE", 0),
    )
    for name, value in limits:
        with contextlib.suppress(AttributeError, ValueError, OSError):  # not on every system
            resource.setrlimit(getattr(resource, name), (value, value))


if __name__ == "__main__":
    main()
