"""Both halves of a JSON-RPC connection in one object, without I/O.

Requests and responses are built and read with jsonrpcclient. What it lacks is here: notifications and
requests of the other side, answers to them, the table of requests under way, and an empty `params` object,
which it would drop (Codex then refuses the call: codex-app-server page, section 3).

The two directions count their ids separately and collide: a message with `method` belongs to the other
side's count, one without to ours.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import jsonrpcclient

from process_agent.errors import RemoteError, WireError
from process_agent.wire import ndjson

METHOD_NOT_FOUND = -32601
OVERLOADED = -32001
"""Codex: too many requests in flight, retry later."""

type RequestId = int | str
type Params = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Request:
    """The other side asks; answer with `Peer.result` or `Peer.error`."""

    id: RequestId
    method: str
    params: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Notification:
    """The other side tells; there is no answer."""

    method: str
    params: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer to our request `id`: its result, or the error the other side gave."""

    id: RequestId
    result: object = None
    error: RemoteError | None = None


@dataclass(frozen=True, slots=True)
class Stray:
    """An answer to nothing we still wait for."""

    id: object


@dataclass(frozen=True, slots=True)
class Malformed:
    """A line that is no JSON-RPC message; the connection stays usable."""

    reason: str


type Incoming = Request | Notification | Answer | Stray | Malformed


class Peer:
    """One end of a connection: builds lines to send, reads lines received."""

    def __init__(self) -> None:
        self._last_id = 0
        self._waiting: set[RequestId] = set()
        self._asked: set[RequestId] = set()

    @property
    def waiting(self) -> frozenset[RequestId]:
        """Ids of our requests that have no answer yet."""
        return frozenset(self._waiting)

    @property
    def asked(self) -> frozenset[RequestId]:
        """Ids of the other side's requests that we have not answered."""
        return frozenset(self._asked)

    def request(self, method: str, params: Params) -> tuple[RequestId, bytes]:
        """A new request: its id and its line."""
        self._last_id += 1
        message = jsonrpcclient.request(method, params=dict(params), id=self._last_id)
        message.setdefault("params", {})
        line = ndjson.encode(message)
        self._waiting.add(self._last_id)
        return self._last_id, line

    def notification(self, method: str, params: Params | None = None) -> bytes:
        """The line of a notification."""
        message = jsonrpcclient.notification(method, None if params is None else dict(params))
        if params is not None:
            message.setdefault("params", {})
        return ndjson.encode(message)

    def result(self, id: RequestId, result: object) -> bytes | None:
        """The line that answers a request; None when it was answered or withdrawn before."""
        return self._answer(id, {"id": id, "result": result})

    def error(self, id: RequestId, code: int, message: str, data: object = None) -> bytes | None:
        """The line that refuses a request; None when it was answered or withdrawn before."""
        error: dict[str, object] = {"code": code, "message": message}
        if data is not None:
            error["data"] = data
        return self._answer(id, {"id": id, "error": error})

    def forget(self, id: RequestId) -> None:
        """Wait no longer for the answer to our request; when it comes after all, it is `Stray`."""
        self._waiting.discard(id)

    def withdraw(self, id: RequestId) -> bool:
        """The other side needs no answer to its request any more. False when there was none to give."""
        open_before = id in self._asked
        self._asked.discard(id)
        return open_before

    def receive(self, line: bytes) -> Incoming:
        """Read one line. Never raises."""
        try:
            value = ndjson.decode(line)
        except WireError as error:
            return Malformed(error.message)
        if not isinstance(value, dict):
            return Malformed("A message has to be an object.")
        if "method" in value:
            return self._called(value)
        return self._answered(value)

    def _answer(self, id: RequestId, message: dict[str, object]) -> bytes | None:
        if id not in self._asked:
            return None
        line = ndjson.encode(message)
        self._asked.discard(id)
        return line

    def _called(self, value: dict[str, Any]) -> Incoming:
        method, params = value["method"], value.get("params")
        if not isinstance(method, str):
            return Malformed("A method has to be a string.")
        if params is None:
            params = {}
        if not isinstance(params, dict):
            return Malformed(f"The params of {method} have to be an object.")
        if "id" not in value:
            return Notification(method, params)
        id = value["id"]
        if not _is_id(id):
            return Malformed(f"The id of {method} has to be a string or an integer.")
        if id in self._asked:
            return Malformed(f"The id {id!r} of {method} is still in use.")
        self._asked.add(id)
        return Request(id, method, params)

    def _answered(self, value: dict[str, Any]) -> Incoming:
        id = value.get("id")
        if not _is_id(id) or id not in self._waiting:
            return (
                Stray(id) if "result" in value or "error" in value else Malformed("Neither call nor answer.")
            )
        self._waiting.discard(id)
        return Answer(id, *_outcome(value))


def _is_id(value: object) -> bool:
    return isinstance(value, int | str) and not isinstance(value, bool)


def _outcome(value: dict[str, Any]) -> tuple[object, RemoteError | None]:
    """Result or error. An answer that is neither is an error too: whoever waits must be woken."""
    try:
        response: Any = jsonrpcclient.parse(value)  # one object in, so never the list of its type
    except (KeyError, TypeError, AttributeError):
        return None, RemoteError("The answer has neither a result nor a readable error.", code=0)
    if isinstance(response, jsonrpcclient.Ok):
        return response.result, None
    code = response.code if isinstance(response.code, int) else 0
    return None, RemoteError(str(response.message), code=code, data=response.data)
