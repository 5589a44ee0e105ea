"""What MeshAgent's Flutter client shows of a thread: its rules in small (agent protocol 2.2, 4, 6.3, 10).

It is fed the messages it would receive, replayed or live, and tells what is on the screen.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

PREFIX = "meshagent.agent."
_CANCELLED = ("cancel", "interrupt", "abort")
_OUTPUT = frozenset(
    f"{family}.{step}"
    for family in ("text_content", "reasoning_content", "file_content")
    for step in ("started", "delta", "ended")
) | {"tool_call.started", "tool_call.log_delta", "tool_call.ended"}


def shows(thread_id: str) -> bool:
    """Whether the single-thread view uses this protocol for a thread; others get a legacy viewer."""
    return thread_id.startswith(("dataset://", "tmp://"))


def merged(shown: str, delta: str) -> str:
    """The rule for text: a delta that it ends with is dropped, one that starts with all of it replaces it."""
    if shown and delta.startswith(shown):
        return delta
    return shown if shown.endswith(delta) else shown + delta


@dataclass
class Bubble:
    """A thing on the screen. `kind` is user, text, reasoning, file, image, terminal, diff, tool or error."""

    kind: str
    text: str = ""
    sender: str | None = None
    final: bool = False
    name: str = ""


@dataclass
class FlutterThread:
    """One open thread view."""

    bubbles: list[Bubble] = field(default_factory=list)
    status: str | None = None
    may_steer: str | None = None
    """The turn that the steer and stop buttons act on."""
    loading: bool = False
    ignored: list[str] = field(default_factory=list)
    """Types it does not render."""
    _held: dict[str, Bubble] = field(default_factory=dict)
    _items: dict[tuple[str, str], Bubble] = field(default_factory=dict)
    _inputs: set[str] = field(default_factory=set)
    _merged: set[str] = field(default_factory=set)
    _started: set[str] = field(default_factory=set)

    @property
    def pending(self) -> list[str]:
        """Inputs that are accepted and have not begun."""
        return [bubble.text for bubble in self._held.values()]

    def drain(self, messages: list[dict[str, Any]]) -> None:
        """The first drain after an open: what was replayed, in the order of its times. Equal times may change
        places; here they always do.
        """
        self.loading = True
        backwards = messages[::-1]
        backwards.sort(key=lambda message: str(message["created_at"]))
        for message in backwards:
            self.take(message)

    def take(self, message: dict[str, Any]) -> None:
        """One message."""
        kind = str(message["type"]).removeprefix(PREFIX)
        if kind in {"turn.start", "turn.steer"}:
            self._input(message["message_id"], _bubble(message))
        elif kind in {"turn.start.accepted", "turn.steer.accepted"}:
            if message["source_message_id"] not in self._inputs:
                self._held[message["source_message_id"]] = _bubble(message)
        elif kind in {"turn.started", "turn.steered"}:
            held = self._held.pop(message["source_message_id"], None)
            if held is not None:
                self._input(message["source_message_id"], held)
        elif kind == "turn.ended":
            self._ended(message)
        elif kind == "thread.status":
            self.status = message.get("status")
            self.may_steer = message.get("turn_id") if message.get("mode") == "steerable" else None
        elif kind == "thread.loaded":
            self.loading = False
        elif kind in _OUTPUT or kind.startswith("image_generation."):
            self._output(kind, message)
        else:
            self.ignored.append(kind)

    def _input(self, source: str, bubble: Bubble) -> None:
        self._held.pop(source, None)
        if source not in self._inputs:
            self._inputs.add(source)
            self.bubbles.append(bubble)

    def _ended(self, message: dict[str, Any]) -> None:
        self._held.clear()
        self.status = self.may_steer = None
        error = message.get("error")
        if error is not None:
            words = f"{error.get('code')} {error['message']}".lower()
            if not any(word in words for word in _CANCELLED):
                self.bubbles.append(Bubble("error", error["message"]))

    def _output(self, kind: str, message: dict[str, Any]) -> None:
        family, _, step = kind.partition(".")
        if family == "image_generation":
            self._image(kind, message)
            return
        bubble = self._item(family, message)
        if step == "delta" and message["message_id"] not in self._merged:
            self._merged.add(message["message_id"])
            piece = message["text"] if "text" in message else message["url"]
            bubble.text = merged(bubble.text, piece)
        elif step == "log_delta" and message["message_id"] not in self._merged:
            self._merged.add(message["message_id"])
            bubble.text += "".join(line["text"] for line in message["lines"])
        elif step == "ended":
            bubble.final = True
            bubble.text = message.get("text") or bubble.text
        if family == "tool_call" and step == "started":
            bubble.kind, bubble.name = _look(message), message["tool"]
            bubble.text = _diff(message) or bubble.text

    def _image(self, kind: str, message: dict[str, Any]) -> None:
        bubble = self._item("image_generation", message)
        images = message.get("images") or [message[name] for name in ("image",) if name in message]
        if images:
            bubble.text = " ".join(image["uri"] for image in images)
        bubble.final = kind.endswith((".completed", ".failed"))

    def _item(self, family: str, message: dict[str, Any]) -> Bubble:
        key = (family, message["item_id"])
        if key not in self._items:
            kind = {"text_content": "text", "reasoning_content": "reasoning", "file_content": "file"}
            kind["image_generation"] = "image"
            self._items[key] = Bubble(kind.get(family, "tool"))
            self.bubbles.append(self._items[key])
        return self._items[key]


@dataclass
class FlutterStart:
    """A new thread that waits for its id: the view fails after 30 s with neither answer."""

    source: str
    thread_id: str | None = None
    error: str | None = None

    @property
    def waiting(self) -> bool:
        return self.thread_id is None and self.error is None

    def take(self, message: dict[str, Any]) -> None:
        """Only these two end the wait; a rejected turn does not."""
        kind = str(message["type"]).removeprefix(PREFIX)
        if message.get("source_message_id") != self.source:
            return
        if kind == "thread.started":
            self.thread_id = message["thread_id"]
        elif kind == "thread.start.rejected":
            self.error = message["error"]["message"]


def _bubble(message: dict[str, Any]) -> Bubble:
    texts = [part["text"] for part in message.get("content") or [] if part["type"] == "text"]
    return Bubble("user", "\n\n".join(texts), message.get("sender_name"))


def _look(message: dict[str, Any]) -> str:
    tool, arguments = message["tool"], message.get("arguments") or {}
    if (message.get("toolkit") == "codex" and tool.startswith("diff")) or tool == "apply_patch":
        return "diff"
    if tool in {"shell", "local_shell"} or {"command", "cmd"} & set(arguments):
        return "terminal"
    return "tool"


def _diff(message: dict[str, Any]) -> str | None:
    arguments = message.get("arguments") or {}
    found = next((arguments[name] for name in ("diff", "patch", "input") if name in arguments), None)
    return found if isinstance(found, str) else None
