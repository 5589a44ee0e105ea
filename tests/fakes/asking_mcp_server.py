"""A small MCP server on stdio: its tool `ask` has the user fill in a form, and returns the answer."""

from __future__ import annotations

import json
import sys
from typing import Any

FORM = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "title": "Name", "description": "What shall it be called?"},
        "size": {"type": "string", "title": "Size", "enum": ["small", "large"]},
        "count": {"type": "integer", "title": "Count"},
    },
    "required": ["name", "size", "count"],
}
TOOL = {
    "name": "ask",
    "description": "Asks the user.",
    "inputSchema": {"type": "object", "properties": {}},
    "annotations": {"readOnlyHint": True},
}


def say(**message: Any) -> None:
    sys.stdout.write(json.dumps({"jsonrpc": "2.0", **message}) + "\n")
    sys.stdout.flush()


def main() -> None:
    called: object = None
    for line in sys.stdin:
        message = json.loads(line)
        method, params = message.get("method"), message.get("params") or {}
        if method == "initialize":
            about = {"name": "asker", "version": "1"}
            version = params["protocolVersion"]
            result = {"protocolVersion": version, "capabilities": {"tools": {}}, "serverInfo": about}
            say(id=message["id"], result=result)
        elif method == "tools/list":
            say(id=message["id"], result={"tools": [TOOL]})
        elif method == "tools/call":
            called = message["id"]
            asked = {"message": "Tell me about the box.", "requestedSchema": FORM}
            say(id="form", method="elicitation/create", params=asked)
        elif message.get("id") == "form":
            answer = message.get("result") or message.get("error")
            say(id=called, result={"content": [{"type": "text", "text": "answer " + json.dumps(answer)}]})
        elif "id" in message:
            say(id=message["id"], result={})


if __name__ == "__main__":
    main()
