"""The Responses dialect, server side: what a request asks.

The dialect is OpenAI's `POST /v1/responses`. Parsing is lenient where clients differ (a string as input,
messages without a type, content as plain text, unknown item types) and strict where the meaning would be
lost. The answer is built by `wire.responses_stream`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import msgspec

from process_agent.errors import WireError

type JsonObject = dict[str, Any]


# --- Input items -------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Message:
    """Something said. `parts` are its texts in order; images and files are left out."""

    role: Literal["user", "assistant", "system", "developer"]
    parts: tuple[str, ...]

    @property
    def text(self) -> str:
        """All texts, joined by newlines."""
        return "\n".join(self.parts)


@dataclass(frozen=True, slots=True)
class Call:
    """A tool call the model made earlier: function, custom tool or local shell.

    `arguments` is JSON text for a function, free text for a custom tool.
    """

    call_id: str
    name: str
    arguments: str
    namespace: str | None = None


@dataclass(frozen=True, slots=True)
class CallOutput:
    """What a tool call returned, as text."""

    call_id: str
    output: str


@dataclass(frozen=True, slots=True)
class OtherItem:
    """An item this server has no use for: reasoning, searches, references, …"""

    type: str


type InputItem = Message | Call | CallOutput | OtherItem


# --- Tools and the request ---------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Tool:
    """A tool on offer. `parameters` are the names in a function's JSON schema."""

    type: str
    name: str
    namespace: str | None = None
    parameters: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class ResponsesRequest:
    """One parsed request. `cache_key` is the client's name for the conversation, when it has one."""

    model: str
    input: tuple[InputItem, ...]
    tools: tuple[Tool, ...]
    stream: bool
    cache_key: str | None = None


def parse_request(body: bytes) -> ResponsesRequest:
    """Parse a request body. Raises `WireError` that says which member is wrong."""
    raw = request_object(body)
    return ResponsesRequest(
        model=raw["model"],
        input=_input(raw.get("input", [])),
        tools=tuple(tool for entry in _list(raw, "tools") for tool in _tools(entry)),
        stream=raw.get("stream") is True,
        cache_key=_optional_text(raw, "prompt_cache_key"),
    )


def request_object(body: bytes) -> JsonObject:
    """The object of a request in any dialect; it has a model. Raises `WireError`."""
    try:
        raw = msgspec.json.decode(body)
    except (msgspec.DecodeError, RecursionError) as error:
        raise WireError(f"The request is not JSON that can be read: {error}.") from error
    if not isinstance(raw, dict):
        raise WireError("The request is not a JSON object.")
    if not isinstance(raw.get("model"), str) or not raw["model"]:
        raise WireError("`model` is missing.")
    return raw


def _input(value: object) -> tuple[InputItem, ...]:
    if isinstance(value, str):
        return (Message("user", (value,)),)
    if not isinstance(value, list):
        raise WireError("`input` is neither text nor a list.")
    return tuple(_item(entry, index) for index, entry in enumerate(value))


def _item(raw: object, index: int) -> InputItem:
    if not isinstance(raw, dict):
        raise WireError(f"`input[{index}]` is not an object.")
    where = f"input[{index}]"
    match raw.get("type", "message"):
        case "message":
            return _message(raw, where)
        case "function_call":
            return Call(
                call_id=_text(raw, "call_id", where),
                name=_text(raw, "name", where),
                arguments=_text(raw, "arguments", where),
                namespace=_optional_text(raw, "namespace"),
            )
        case "custom_tool_call":
            return Call(_text(raw, "call_id", where), _text(raw, "name", where), _text(raw, "input", where))
        case "local_shell_call":
            arguments = msgspec.json.encode(raw.get("action")).decode()
            return Call(_text(raw, "call_id", where), "local_shell", arguments)
        case "function_call_output" | "custom_tool_call_output":
            return CallOutput(_text(raw, "call_id", where), _output(raw.get("output"), where))
        case "local_shell_call_output":
            return CallOutput(_text(raw, "id", where), _output(raw.get("output"), where))
        case str() as other:
            return OtherItem(other)
        case _:
            raise WireError(f"`{where}.type` is not text.")


def _message(raw: JsonObject, where: str) -> Message:
    role = raw.get("role")
    if role not in ("user", "assistant", "system", "developer"):
        raise WireError(f"`{where}.role` is not one of user, assistant, system, developer.")
    return Message(role, texts(raw.get("content"), f"{where}.content"))


def _output(value: object, where: str) -> str:
    return "\n".join(texts(value, f"{where}.output"))


def texts(value: object, where: str) -> tuple[str, ...]:
    """Texts of a content value: plain text, or parts of which those with a text are kept."""
    if isinstance(value, str):
        return (value,)
    if value is None:
        return ()
    if not isinstance(value, list):
        raise WireError(f"`{where}` is neither text nor a list.")
    return tuple(
        part["text"] for part in value if isinstance(part, dict) and isinstance(part.get("text"), str)
    )


def _tools(raw: object, namespace: str | None = None) -> tuple[Tool, ...]:
    """One entry of `tools`; a namespace stands for the tools inside it."""
    if not isinstance(raw, dict) or not isinstance(raw.get("type"), str):
        raise WireError("`tools` holds an entry without a type.")
    kind: str = raw["type"]
    name = raw.get("name", kind)
    if kind == "namespace":
        if namespace is not None:
            raise WireError("`tools` holds a namespace inside a namespace.")
        return tuple(tool for entry in _list(raw, "tools") for tool in _tools(entry, str(name)))
    return (Tool(kind, str(name), namespace, properties(raw.get("parameters"))),)


def properties(schema: object) -> frozenset[str]:
    """The names in a JSON schema of arguments."""
    found = schema.get("properties") if isinstance(schema, dict) else None
    return frozenset(found) if isinstance(found, dict) else frozenset[str]()


def _list(raw: Mapping[str, object], member: str) -> list[object]:
    value = raw.get(member)
    if value is None:
        return []
    if not isinstance(value, list):
        raise WireError(f"`{member}` is not a list.")
    return value


def _text(raw: JsonObject, member: str, where: str) -> str:
    value = raw.get(member)
    if not isinstance(value, str):
        raise WireError(f"`{where}.{member}` is not text.")
    return value


def _optional_text(raw: JsonObject, member: str) -> str | None:
    value = raw.get(member)
    return value if isinstance(value, str) else None
