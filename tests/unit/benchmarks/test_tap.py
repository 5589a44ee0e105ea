"""What the tap of the benchmarks counts of a connection: calls by tool and table, rows, bytes."""

from __future__ import annotations

from itertools import count
from typing import Any

import pyarrow as pa

from benchmarks.tap import Reading, Traffic
from process_agent.wire.room_frames import Message, pack_payload, split, write_json

ROWS = pa.table({"a": [1, 2, 3]})
NAMESPACE = ["agents", "bot", "threads"]


def stream(rows: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, rows.schema) as writer:
        writer.write_table(rows)
    return sink.getvalue().to_pybytes()


class Connection:
    def __init__(self) -> None:
        self.traffic = Traffic()
        self._reading = Reading(self.traffic)
        self._ids = count(1)
        self.size = 0

    def sent(self, type_: str, fields: dict[str, Any], data: bytes = b"") -> int:
        number = next(self._ids)
        for packet in self._packets(number, type_, fields, data):
            self._reading.sent(packet)
        return number

    def received(self, type_: str, fields: dict[str, Any], data: bytes = b"", number: int = 999) -> None:
        for packet in self._packets(number, type_, fields, data):
            self._reading.received(packet)

    def _packets(self, number: int, type_: str, fields: dict[str, Any], data: bytes) -> list[bytes]:
        packets = split(Message(number, type_, pack_payload(write_json(fields), data)), 1024)
        self.size += sum(map(len, packets))
        return packets

    def call(self, tool: str, arguments: dict[str, Any], data: bytes = b"", toolkit: str = "dataset") -> int:
        fields = {"toolkit": toolkit, "tool": tool, "arguments": arguments, "tool_call_id": f"id of {tool}"}
        return self.sent("room.invoke_tool", fields, data)

    def chunk(self, tool: str, headers: dict[str, Any]) -> dict[str, Any]:
        return {"tool_call_id": f"id of {tool}", "chunk": {"type": "binary", "headers": headers}}


def test_rows_that_go_with_their_call_are_counted_with_it() -> None:
    connection = Connection()
    headers = {"table": "t1", "namespace": NAMESPACE}
    number = connection.call("insert_rows", {"type": "binary", "headers": headers}, stream(ROWS))
    connection.received("__response__", {"type": "empty"}, number=number)
    traffic = connection.traffic
    assert traffic.calls == {"insert_rows thread": 1}
    assert (traffic.rows_written, traffic.rows_read) == (3, 0)
    assert traffic.bytes == connection.size
    assert 0 < traffic.table_bytes < traffic.bytes


def test_rows_that_come_with_the_answer_are_counted_in_all_its_streams() -> None:
    connection = Connection()
    for tool, data in (("read_rows", stream(ROWS)), ("read_end", stream(ROWS) + stream(ROWS.slice(1)))):
        number = connection.call(tool, {"type": "json", "json": {"table": "t1", "namespace": NAMESPACE}})
        connection.received("__response__", {"type": "binary", "headers": {}}, data, number)
    number = connection.call("count", {"type": "json", "json": {"table": "t1", "namespace": NAMESPACE}})
    connection.received("__response__", {"type": "json", "json": {"count": 3}}, number=number)
    assert connection.traffic.calls == {"read_rows thread": 1, "read_end thread": 1, "count thread": 1}
    assert (connection.traffic.rows_written, connection.traffic.rows_read) == (0, 8)


def test_streamed_calls_count_once_with_all_rows_of_their_chunks() -> None:
    connection = Connection()
    for tool, table in (("insert", "t1"), ("search", "index")):
        connection.call(tool, {"type": "control", "method": "open"})
        start = {"kind": "start", "table": table, "namespace": NAMESPACE}
        connection.sent("room.tool_call_request_chunk", connection.chunk(tool, start))
    for _ in range(2):
        chunk = connection.chunk("insert", {"kind": "data"})
        connection.sent("room.tool_call_request_chunk", chunk, stream(ROWS))
    chunk = connection.chunk("search", {"kind": "data"})
    connection.received("room.tool_call_response_chunk", chunk, stream(ROWS))
    assert connection.traffic.calls == {"insert thread": 1, "search index": 1}
    assert (connection.traffic.rows_written, connection.traffic.rows_read) == (6, 3)


def test_calls_of_others_and_what_was_before_are_told_apart() -> None:
    connection = Connection()
    where = {"type": "json", "json": {"table": "index", "namespace": NAMESPACE, "where": "path = 'x'"}}
    connection.call("update", where)
    before = connection.traffic.copy()
    connection.call("send", {"type": "json", "json": {"to": "ana"}}, toolkit="messaging")
    connection.call("update", where)
    since = connection.traffic.since(before)
    assert since.calls == {"update index": 1}
    assert since.others == {"messaging.send": 1}
    assert connection.traffic.calls == {"update index": 2}
