"""Events about the items of a turn as agent messages: text, reasoning, files, tools, images (3.5)."""

from __future__ import annotations

from typing import assert_never

from process_agent.core import events as e
from process_agent.core.content import Json, LogLine
from process_agent.wire.agent_messages.approvals import encode_decided, encode_request
from process_agent.wire.agent_messages.parts import (
    OWN,
    encode_error,
    encode_image,
    encode_lines,
    encode_result,
)

IMAGE_TOOL = "image_generation"
"""Toolkit and tool of every image in the protocol."""

type Encoded = tuple[str, dict[str, Json]]
type _Tool = (
    e.ToolArguments | e.ToolStarted | e.ToolLog | e.ToolEnded | e.ApprovalRequested | e.ApprovalDecided
)
type _Image = e.ImageStarted | e.ImagePartial | e.ImageCompleted | e.ImageFailed
type _Content = (
    e.TextStarted
    | e.TextDelta
    | e.TextEnded
    | e.ReasoningStarted
    | e.ReasoningDelta
    | e.ReasoningEnded
    | e.FileShown
)


def encode_item(body: _Tool | _Image | _Content) -> Encoded:
    """The kind and the fields of an event about an item."""
    match body:
        case (
            e.ToolArguments()
            | e.ToolStarted()
            | e.ToolLog()
            | e.ToolEnded()
            | e.ApprovalRequested()
            | e.ApprovalDecided()
        ):
            return _encode_tool(body)
        case e.ImageStarted() | e.ImagePartial() | e.ImageCompleted() | e.ImageFailed():
            return _encode_image(body)
        case _:
            return _encode_content(body)


def _encode_tool(body: _Tool) -> Encoded:
    ref = body.ref
    fields: dict[str, Json] = {
        "item_id": ref.item_id,
        "namespace": ref.namespace,
        "call_id": ref.call_id,
        "toolkit": ref.toolkit,
        "tool": ref.tool,
    }
    match body:
        case e.ToolArguments(_, delta):
            return "tool_call.arguments_delta", fields | {"delta": delta}
        case e.ToolStarted(_, arguments):
            return "tool_call.started", fields | {"arguments": dict(arguments), "argument_bytes": None}
        case e.ToolLog(_, lines):
            return "tool_call.log_delta", fields | {"lines": encode_lines(lines)}
        case e.ToolEnded(_, result, error):
            return "tool_call.ended", fields | {"result": encode_result(result), "error": encode_error(error)}
        case e.ApprovalRequested(_, arguments):
            about: dict[str, Json] = {"arguments": dict(arguments), "metadata": {OWN: encode_request(body)}}
            return "tool_call.approval_requested", fields | about
        case e.ApprovalDecided():
            said = encode_lines([LogLine(f"{body.text}\n")])
            return "tool_call.log_delta", fields | {"lines": said, "metadata": {OWN: encode_decided(body)}}
        case _:
            assert_never(body)


def _encode_image(body: _Image) -> Encoded:
    fields: dict[str, Json] = {
        "item_id": body.item_id,
        "call_id": None,
        "toolkit": IMAGE_TOOL,
        "tool": IMAGE_TOOL,
        "arguments": None,
    }
    match body:
        case e.ImageStarted(_, arguments):
            return "image_generation.started", fields | {"arguments": dict(arguments)}
        case e.ImagePartial(_, image, index):
            drawn: dict[str, Json] = {"image": encode_image(image, "in_progress"), "partial_index": index}
            return "image_generation.partial", fields | drawn
        case e.ImageCompleted(_, images, prompt):
            done: list[Json] = [encode_image(image, "completed") for image in images]
            told: dict[str, Json] = {"arguments": {"prompt": prompt}} if prompt else {}
            return "image_generation.completed", fields | told | {"images": done}
        case e.ImageFailed(_, error):
            return "image_generation.failed", fields | {"error": encode_error(error)}
        case _:
            assert_never(body)


def _encode_content(body: _Content) -> Encoded:
    item: dict[str, Json] = {"item_id": body.item_id}
    match body:
        case e.TextStarted(_, phase):
            return "text_content.started", item | {"phase": phase}
        case e.TextDelta(_, text, phase):
            return "text_content.delta", item | {"text": text, "phase": phase}
        case e.TextEnded(_, phase):
            return "text_content.ended", item | {"phase": phase}
        case e.ReasoningStarted():
            return "reasoning_content.started", item
        case e.ReasoningDelta(_, text):
            return "reasoning_content.delta", item | {"text": text}
        case e.ReasoningEnded(_, metadata):
            return "reasoning_content.ended", item | {"metadata": dict(metadata)}
        case e.FileShown(_, url):
            return "file_content.delta", item | {"url": url}
        case _:
            assert_never(body)
