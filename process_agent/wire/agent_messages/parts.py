"""What all agent messages share: typed access to fields, times, content, results and errors."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from urllib.parse import unquote

from process_agent.core.content import (
    ContentPart,
    EmptyResult,
    ErrorInfo,
    FilePart,
    GeneratedImage,
    Json,
    JsonResult,
    LinkResult,
    LogLine,
    TextPart,
    TextResult,
    ToolResult,
)
from process_agent.errors import WireError

PREFIX = "meshagent.agent."
"""Every agent message's `type` starts with this."""

OWN = "process"
"""Key in `metadata` for what the published messages have no field for; other clients ignore it."""

type Body = Mapping[str, Json]


class Fields:
    """Reads fields of one message; every method raises `WireError` naming the field that is wrong."""

    def __init__(self, body: Body) -> None:
        self.body = body
        kind = body.get("type")
        if not isinstance(kind, str):
            raise WireError("agent message without a type")
        self.type = kind

    def text(self, name: str) -> str:
        """A required text."""
        value = self.body.get(name)
        if not isinstance(value, str):
            raise WireError(f"{self.type}: {name} must be text")
        return value

    def maybe_text(self, name: str) -> str | None:
        """A text, or None when missing or null."""
        return None if self.body.get(name) is None else self.text(name)

    def number(self, name: str, default: int) -> int:
        """A whole number."""
        value = self.body.get(name)
        if value is None:
            return default
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            raise WireError(f"{self.type}: {name} must be a number")
        return int(value)

    def flag(self, name: str) -> bool:
        """True or false; missing and null are false."""
        value = self.body.get(name)
        if value is None:
            return False
        if not isinstance(value, bool):
            raise WireError(f"{self.type}: {name} must be true or false")
        return value

    def object(self, name: str) -> dict[str, Json]:
        """An object; missing and null are empty."""
        value = self.body.get(name)
        if value is None:
            return {}
        if not isinstance(value, dict):
            raise WireError(f"{self.type}: {name} must be an object")
        return value

    def objects(self, name: str) -> list[Fields]:
        """A list of objects; missing and null are empty."""
        value = self.body.get(name)
        if value is None:
            return []
        if not isinstance(value, list):
            raise WireError(f"{self.type}: {name} must be a list")
        found = []
        for position, entry in enumerate(value):
            if not isinstance(entry, dict):
                raise WireError(f"{self.type}: {name}[{position}] must be an object")
            found.append(Fields({"type": f"{self.type} {name}[{position}]", **entry}))
        return found

    def time(self, name: str) -> datetime | None:
        """An ISO time; without a zone it is taken as UTC."""
        value = self.maybe_text(name)
        if value is None:
            return None
        try:
            parsed = datetime.fromisoformat(value)
        except ValueError as error:
            raise WireError(f"{self.type}: {name} is not a time: {value!r}") from error
        return parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)


def compact(body: Body) -> dict[str, Json]:
    """The live form: without nulls and without empty metadata (section 3.1)."""
    return {k: v for k, v in body.items() if v is not None and not (k == "metadata" and v == {})}


def encode_time(moment: datetime) -> str:
    """ISO with microseconds and `Z`."""
    utc = moment if moment.tzinfo is UTC else moment.astimezone(UTC)
    return f"{utc.isoformat(timespec='microseconds')[:-6]}Z"


def encode_content(parts: Iterable[ContentPart]) -> list[Json]:
    """Content parts as JSON."""
    encoded: list[Json] = []
    for part in parts:
        match part:
            case TextPart(text):
                encoded.append({"type": "text", "text": text})
            case FilePart(url, name):
                encoded.append({"type": "file", "url": url, "name": name})
    return encoded


def decode_content(fields: Fields) -> tuple[ContentPart, ...]:
    """The `content` of a message. A part of a kind we cannot pass on is an error, not a silent loss."""
    parts: list[ContentPart] = []
    for part in fields.objects("content"):
        match part.body.get("type"):
            case "text":
                parts.append(TextPart(part.text("text")))
            case "file" | "audio" | "image":
                parts.append(FilePart(_with_scheme(part.text("url")), part.maybe_text("name")))
            case other:
                raise WireError(f"{fields.type}: cannot take content of type {other!r}; send text or file")
    return tuple(parts)


def _with_scheme(url: str) -> str:
    """A URL without scheme is a path in room storage (section 3.2)."""
    if ":" in url.split("/", 1)[0]:
        return url
    return "room:///" + url.lstrip("/")


def decode_attached(fields: Fields) -> tuple[ContentPart, ...]:
    """The `content` of a participant's request. The agent reads attached files with its own rights: folders
    that the room keeps for itself, like `.emails`, are nobody's to attach.
    """
    parts = decode_content(fields)
    for part in parts:
        if isinstance(part, FilePart) and part.url[:5].lower() == "room:":
            path = unquote(part.url[5:].split("?", 1)[0].split("#", 1)[0])
            if any(name.startswith(".") for name in path.replace("\\", "/").split("/")):
                raise WireError(f"{fields.type}: {path[:200]!r} is not a file that can be attached")
    return parts


def encode_error(error: ErrorInfo | None) -> Json:
    """An error; Python clients drop events whose error has no code, so there always is one."""
    return None if error is None else {"message": error.message, "code": error.code}


def decode_error(fields: Fields, name: str = "error") -> ErrorInfo | None:
    """An error, tolerating those without a code."""
    if fields.body.get(name) is None:
        return None
    error = fields.object(name)
    return ErrorInfo(str(error.get("message") or "unknown error"), str(error.get("code") or "error"))


def encode_result(result: ToolResult | None) -> Json:
    """A tool's result (section 3.2)."""
    match result:
        case None:
            return None
        case TextResult(text):
            return {"type": "text", "text": text}
        case JsonResult(value):
            return {"type": "json", "json": value}
        case LinkResult(name, url):
            return {"type": "link", "name": name, "url": url}
        case EmptyResult():
            return {"type": "empty"}


def decode_result(value: Json) -> ToolResult | None:
    """A tool's result; kinds we have no type for are kept as JSON."""
    if not isinstance(value, dict):
        return None
    match value.get("type"):
        case "text":
            return TextResult(str(value.get("text", "")))
        case "json":
            return JsonResult(value.get("json"))
        case "link":
            return LinkResult(str(value.get("name", "")), str(value.get("url", "")))
        case "empty":
            return EmptyResult()
        case _:
            return JsonResult(value)


CLIENT_TOOL_FAILED = "client_tool_failed"
"""Code of a client tool's error that has none of its own; the protocol's are numbers."""


def encode_tool_answer(response: ToolResult | ErrorInfo) -> Json:
    """What a client's tool answered: a result, or an error with its number, if it has one."""
    if not isinstance(response, ErrorInfo):
        return encode_result(response)
    answer: dict[str, Json] = {"type": "error", "text": response.message}
    return answer | {"code": int(response.code)} if _is_number(response.code) else answer


def decode_tool_answer(fields: Fields, name: str) -> ToolResult | ErrorInfo:
    """What a client's tool answered (tool content, section 3.2); every kind is taken."""
    answer = Fields({"type": "", **fields.object(name)})
    if answer.type not in _TOOL_CONTENT:
        known = ", ".join(sorted(_TOOL_CONTENT))
        raise WireError(f"{fields.type}: {name} must be tool content, whose type is one of {known}")
    if answer.type == "error":
        code = answer.body.get("code")
        named = str(code) if isinstance(code, int) and not isinstance(code, bool) else CLIENT_TOOL_FAILED
        return ErrorInfo(answer.maybe_text("text") or "the tool failed without a reason", named)
    return decode_result(dict(answer.body)) or EmptyResult()


_TOOL_CONTENT = frozenset(
    ("text", "json", "error", "empty", "link", "file", "binary", "raw", "control"),
)


def _is_number(code: str) -> bool:
    return code.isascii() and code.removeprefix("-").isdigit()


def encode_image(image: GeneratedImage, status: str) -> Json:
    """A generated image; `status` is `in_progress` or `completed`."""
    return {
        "uri": image.uri,
        "mime_type": image.mime_type,
        "created_at": None,
        "created_by": None,
        "width": image.width,
        "height": image.height,
        "status": status,
    }


def decode_image(fields: Fields) -> GeneratedImage | None:
    """A generated image, or None when there is nothing to show."""
    uri = fields.maybe_text("uri")
    if not uri:
        return None
    width, height = (fields.number(side, 0) or None for side in ("width", "height"))
    return GeneratedImage(uri, fields.maybe_text("mime_type"), width, height)


def encode_lines(lines: Iterable[LogLine]) -> list[Json]:
    """Log lines."""
    return [{"source": line.source, "text": line.text} for line in lines]


def decode_lines(fields: Fields) -> tuple[LogLine, ...]:
    """Log lines; an unknown source counts as stdout."""
    return tuple(
        LogLine(line.text("text"), "stderr" if line.body.get("source") == "stderr" else "stdout")
        for line in fields.objects("lines")
    )
