"""What MeshAgent's React client shows of a thread: a small model of its rules (agent protocol 3.6, 4, 5, 10).

History comes from the rows of the thread's table, live events from the protocol; both go through `take`.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

PREFIX = "meshagent.agent."
_CANCELLED = ("cancel", "interrupt", "abort")


@dataclass
class Line:
    """One item of the timeline. `kind` is user, text, reasoning, file, tool, image, model or error."""

    kind: str
    text: str = ""
    done: bool = False


@dataclass
class ReactThread:
    """One timeline."""

    lines: list[Line] = field(default_factory=list)
    pending: set[str] = field(default_factory=set)
    status: str | None = None
    footer: dict[str, float] = field(default_factory=dict)
    """used and total tokens of the window; input, output, cached or total ones of the usage."""
    clashes: list[str] = field(default_factory=list)
    """Item ids that were used for two kinds of items: the timeline has one place for each id."""
    ignored: list[str] = field(default_factory=list)
    _items: dict[str, Line] = field(default_factory=dict)
    _inputs: set[str] = field(default_factory=set)
    _merged: set[str] = field(default_factory=set)

    def read(self, rows: list[dict[str, Any]]) -> None:
        """The history: rows of the table, in the order of their sequence. Old ones have no type column."""
        for row in sorted(rows, key=lambda row: int(row["sequence"])):
            data = json.loads(row["data"])
            self.take({**data, "type": row["type"] or data["type"]})

    def take(self, message: dict[str, Any]) -> None:
        """One message."""
        kind = str(message["type"]).removeprefix(PREFIX)
        family, _, step = kind.partition(".")
        if family == "turn":
            self._turn(step, message)
        elif family in {"text_content", "reasoning_content", "file_content", "tool_call"}:
            self._output(family, step, message)
        elif family == "image_generation":
            self._image(step, message)
        elif kind == "thread.status":
            self.status = message.get("status")
        elif kind == "model.changed":
            self.lines.append(Line("model", f"{message.get('backend')}/{message['model']}", done=True))
        elif kind == "usage.updated":
            self._usage(message)
        else:
            self.ignored.append(kind)

    def _turn(self, step: str, message: dict[str, Any]) -> None:
        source = message["message_id"] if step in {"start", "steer"} else message.get("source_message_id")
        if step in {"start", "steer", "start.accepted", "steer.accepted"}:
            if source not in self._inputs and message.get("content"):
                self._inputs.add(str(source))
                self.lines.append(Line("user", message["content"][0].get("text", ""), done=True))
                self.pending.add(str(source))
        elif step in {"started", "steered", "start.rejected", "steer.rejected"}:
            self.pending.discard(str(source))
        elif step == "ended":
            self.pending.clear()
            self.status = None
            error = message.get("error") or {}
            words = f"{error.get('code')} {error.get('message')}".lower()
            if error and not any(word in words for word in _CANCELLED):
                self.lines.append(Line("error", error["message"], done=True))

    def _output(self, family: str, step: str, message: dict[str, Any]) -> None:
        kind = {"text_content": "text", "reasoning_content": "reasoning", "file_content": "file"}.get(
            family, "tool"
        )
        if step == "approval_requested":
            self.ignored.append(f"{family}.{step}")
            return
        line = self._items.get(message["item_id"])
        if line is None:
            line = self._items[message["item_id"]] = Line(kind)
            self.lines.append(line)
        if line.kind != kind:
            self.clashes.append(message["item_id"])
        if step in {"delta", "log_delta"} and message["message_id"] not in self._merged:
            self._merged.add(message["message_id"])
            lines = [line["text"] for line in message.get("lines", ())]
            line.text += message.get("text", message.get("url", "")) + "".join(lines)
        elif step == "ended":
            line.done = True

    def _image(self, step: str, message: dict[str, Any]) -> None:
        line = self._items.get(message["item_id"])
        if line is None:
            line = self._items[message["item_id"]] = Line("image")
            self.lines.append(line)
        images = message.get("images") or [message[name] for name in ("image",) if name in message]
        if images:
            line.text = " ".join(image["uri"] for image in images)
        line.done = step in {"completed", "failed"}

    def _usage(self, message: dict[str, Any]) -> None:
        usage = {name.removeprefix("model."): value for name, value in (message.get("usage") or {}).items()}
        window = message.get("context_window") or {}
        if not usage and not window.get("used_tokens"):
            return
        if "total_tokens" in usage:
            self.footer = {"tokens": usage["total_tokens"]}
        else:
            counted = ("input_tokens", "output_tokens", "cached_tokens")
            self.footer = {"tokens": sum(v for name, v in usage.items() if name.endswith(counted))}
        self.footer |= {
            name: value for name in ("used_tokens", "total_tokens") if (value := window.get(name))
        }
