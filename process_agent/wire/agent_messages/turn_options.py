"""What `thread.start` and `turn.start` say beside content and model (section 3.3).

| Field | What becomes of it |
|---|---|
| `instructions` | hold for this turn |
| `metadata.process` | ours alone, so that no other client sends it: `effort`, the reasoning effort, and |
| | `output_schema`, the JSON schema of the answer; both hold for this turn |
| `client_toolkits` | the tools that the asking client runs itself |
| `output_modalities`, `voice`, `realtime_protocol` | anything but text is refused: `unsupported_modality` |
| `tool_choice` | refused, `unsupported_tool_choice`: which tool is called is the model's choice here, and a |
| | turn that calls another tool than the one that was asked for is worse than none |
| `mcp`, also as `toolkits.mcp` | the servers of the turn, as far as the operator allows any; connectors and |
| | proxy secrets of MeshAgent's own are refused: `unsupported_mcp` |
| `toolkits` otherwise | ignored: clients repeat there what they last saw, and the agent's tools are its own |
| `storage` | ignored: an agent keeps its threads in one place, which its attributes name |
| `llm_authorization` | ignored: the agent pays with the credentials it was started with |

What is ignored or refused is not kept: tokens in `llm_authorization` and `mcp` reach no log, no table and
no error text.
"""

from __future__ import annotations

import json

from process_agent.core.content import Json
from process_agent.core.requests import ClientTool, TurnOptions
from process_agent.errors import WireError
from process_agent.wire.agent_messages.limits import (
    MAX_CLIENT_TOOLS,
    MAX_EFFORT,
    MAX_INSTRUCTIONS,
    MAX_NAME,
    MAX_SCHEMA,
)
from process_agent.wire.agent_messages.mcp_servers import decode_servers
from process_agent.wire.agent_messages.parts import OWN, Fields

UNSUPPORTED_MODALITY = "unsupported_modality"


def decode_options(f: Fields) -> TurnOptions:
    """The options of a turn. Raises `WireError` with the code to refuse it with."""
    refuse_voice(f)
    _refuse_choice(f)
    instructions = f.maybe_text("instructions")
    if instructions is not None and len(instructions) > MAX_INSTRUCTIONS:
        raise WireError(f"instructions have more than {MAX_INSTRUCTIONS} characters")
    own = f.object("metadata").get(OWN)
    mine = Fields({**(own if isinstance(own, dict) else {}), "type": f.type})
    return TurnOptions(
        instructions=instructions or None,
        client_tools=_client_tools(f),
        effort=_effort(mine),
        output_schema=_output_schema(mine),
        mcp_servers=decode_servers(f),
    )


def refuse_voice(f: Fields) -> None:
    """This agent reads and writes text. Raises `WireError` when a message wants anything else."""
    modalities = f.body.get("output_modalities")
    if modalities is not None and not isinstance(modalities, list):
        raise WireError(f"{f.type}: output_modalities must be a list")
    spoken = [name for name in modalities or () if name != "text"]
    if spoken or f.maybe_text("voice") or f.maybe_text("realtime_protocol"):
        raise WireError(
            "This agent answers in text only: choose text instead of audio, and no voice.",
            refusal=UNSUPPORTED_MODALITY,
        )


def _effort(f: Fields) -> str | None:
    effort = f.maybe_text("effort")
    if effort is not None and not (effort.isidentifier() and len(effort) <= MAX_EFFORT):
        raise WireError(f"{f.type}: effort must be a word like low or high")
    return effort


def _output_schema(f: Fields) -> dict[str, Json] | None:
    if f.body.get("output_schema") is None:
        return None
    schema = f.object("output_schema")
    if len(json.dumps(schema, ensure_ascii=False)) > MAX_SCHEMA:
        raise WireError(f"{f.type}: output_schema has more than {MAX_SCHEMA} characters")
    return schema


def _refuse_choice(f: Fields) -> None:
    if f.body.get("tool_choice") is not None:
        raise WireError(
            "This agent cannot be told which tool to call: send the message without a choice, and say in "
            "its text what should be used.",
            refusal="unsupported_tool_choice",
        )


def _client_tools(f: Fields) -> tuple[ClientTool, ...]:
    listed = f.objects("client_toolkits")
    if len(listed) > MAX_CLIENT_TOOLS:
        raise WireError(f"client_toolkits has more than {MAX_CLIENT_TOOLS} entries")
    tools = tuple(_client_tool(tool) for tool in listed)
    if len({tool.name for tool in tools}) < len(tools):
        raise WireError("client_toolkits has two entries of the same name")
    return tools


def _client_tool(f: Fields) -> ClientTool:
    name = f.text("name")
    if not name.strip() or len(name) > MAX_NAME:
        raise WireError(f"{f.type}: name must have 1 to {MAX_NAME} characters")
    return ClientTool(name, f.object("input_schema"), f.maybe_text("title"), f.maybe_text("description"))
