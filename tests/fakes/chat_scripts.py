"""What the canned agent says, by the first word of a turn."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

from process_agent.core import events as e
from process_agent.core.content import ErrorInfo, GeneratedImage, JsonResult, LogLine, TextResult
from process_agent.core.decisions import Decision
from process_agent.core.ids import AskId, ItemId
from process_agent.core.usage import ContextWindow, Usage

type Events = AsyncIterator[e.EventBody]

DIFF = """\
diff --git a/prices.py b/prices.py
--- a/prices.py
+++ b/prices.py
@@ -1,5 +1,5 @@
 def total(prices, discount=0.0):
     \"\"\"Sum of all prices.\"\"\"
-    return sum(prices) * discount
+    return sum(prices) * (1 - discount)
 # end
 # of file
diff --git a/hello.txt b/hello.txt
new file mode 100644
--- /dev/null
+++ b/hello.txt
@@ -0,0 +1,2 @@
+hello
+world
"""

ANSWER = """\
## Fixed

The discount is now **taken off**. See [the docs](https://example.org/x) and `prices.py`:

```python
def total(prices: list[float], discount: float = 0.0) -> float:
    # taken off, not multiplied
    return sum(prices) * (1 - discount)
```

| check | before | after |
|---|---|---|
| `half price` | 50 | 5 |

1. Nothing else changed.
2. <img src=x onerror=alert(1)> is text. [Not a link](javascript:alert(1)), ![remote](https://example.org/a.png)
"""


def _ref(turn: Any, name: str, tool: str, toolkit: str = "codex") -> e.ToolRef:
    return e.ToolRef(ItemId(f"{turn.id}:{name}"), toolkit, tool, "codex")


async def _text(turn: Any, name: str, text: str, size: int = 7, phase: e.Phase = "final_answer") -> Events:
    item = ItemId(f"{turn.id}:{name}")
    yield e.TextStarted(item, phase)
    for at in range(0, len(text), size):
        yield e.TextDelta(item, text[at : at + size], phase)
        await asyncio.sleep(0)
    yield e.TextEnded(item, phase)


async def answer(text: str, turn: Any) -> Events:
    """Says what it heard."""
    yield e.Working("Thinking")
    async for event in _text(turn, "answer", f"You said: {text}"):
        yield event
    yield e.TurnEnded(e.EndReason.COMPLETED)


async def demo(_: str, turn: Any) -> Events:
    """Everything a turn can show."""
    yield e.Working("Thinking")
    thought = ItemId(f"{turn.id}:thought")
    yield e.ReasoningStarted(thought)
    yield e.ReasoningDelta(thought, "**Reading the code**\n\nThe discount looks wrong.")
    yield e.ReasoningEnded(thought)
    plan = _ref(turn, "plan", "plan")
    steps = ("Run the check", "Fix the discount", "Run the check again")
    for done in range(2):
        marks = ["completed"] * done + ["inProgress"] + ["pending"] * (2 - done)
        yield e.ToolStarted(
            plan, {"plan": [{"step": s, "status": m} for s, m in zip(steps, marks, strict=True)]}
        )
    shell = _ref(turn, "shell", "shell")
    yield e.ToolStarted(shell, {"command": "python3 check_prices.py", "cwd": "/workspace"})
    yield e.Working("Running python3 check_prices.py")
    yield e.ToolLog(shell, (LogLine("checking\n"), LogLine("\x1b[31mFAILED\x1b[0m half price\n", "stderr")))
    output = "checking\nFAILED half price\n"
    yield e.ToolEnded(shell, JsonResult({"stdout": output, "stderr": "", "exit_code": 1}))
    patch = _ref(turn, "patch", "apply_patch")
    yield e.ToolStarted(patch, {"patch": DIFF})
    yield e.ToolEnded(patch, TextResult("Changed prices.py, hello.txt."))
    diff = _ref(turn, "diff", "diff_updated")
    yield e.ToolStarted(diff, {"diff": DIFF})
    mcp = _ref(turn, "mcp", "lookup", "library")
    yield e.ToolStarted(mcp, {"query": "discount", "limit": 3})
    yield e.ToolEnded(mcp, TextResult("3 entries"))
    yield e.UsageUpdated(Usage(input=12_400, output=830), ContextWindow(13_230, 272_000))
    async for event in _text(turn, "answer", ANSWER):
        yield event
    yield e.ToolEnded(diff)
    yield e.TurnEnded(e.EndReason.COMPLETED)


async def slow(_: str, turn: Any) -> Events:
    """Counts until it is stopped or steered."""
    yield e.Working("Counting")
    item = ItemId(f"{turn.id}:count")
    yield e.TextStarted(item)
    count = 0
    while not turn.stopped.is_set() and turn.steered.empty():
        count += 1
        yield e.TextDelta(item, f"{count} ")
        await asyncio.sleep(0.02)
    yield e.TextEnded(item)
    if turn.stopped.is_set():
        yield e.TurnEnded(e.EndReason.INTERRUPTED)
        return
    async for event in _text(turn, "steered", f"Steered: {turn.steered.get_nowait()}"):
        yield event
    yield e.TurnEnded(e.EndReason.COMPLETED)


async def approve(_: str, turn: Any) -> Events:
    """Asks before it runs a command."""
    shell = _ref(turn, "shell", "shell")
    arguments = {"command": "rm -rf build", "cwd": "/workspace"}
    yield e.ToolStarted(shell, arguments)
    yield e.Working("Waiting for approval", pending_item_id=shell.item_id)
    yield e.ApprovalRequested(shell, arguments, "It is outside the sandbox.")
    accepted = await turn.decided
    yield e.ApprovalDecided(shell, Decision.ACCEPT if accepted else Decision.DECLINE, "ana")
    if accepted:
        yield e.ToolEnded(shell, JsonResult({"stdout": "", "stderr": "", "exit_code": 0}))
    else:
        yield e.ToolEnded(shell, error=ErrorInfo("Declined: the command was not run.", "declined"))
    async for event in _text(turn, "answer", "It ran." if accepted else "It did not run."):
        yield event
    yield e.TurnEnded(e.EndReason.COMPLETED)


async def fail(_: str, turn: Any) -> Events:
    """Fails in the middle."""
    yield e.Working("Thinking")
    async for event in _text(turn, "answer", "Half an ans"):
        yield event
    yield e.TurnEnded(e.EndReason.FAILED, ErrorInfo("The model's quota is used up.", "quota"))


async def long(_: str, turn: Any) -> Events:
    """A long answer in many small pieces."""
    yield e.Working("Writing")
    paragraphs = "".join(f"Paragraph {n} of a *long* answer with `code`.\n\n" for n in range(200))
    async for event in _text(turn, "answer", paragraphs, size=9):
        yield event
    yield e.TurnEnded(e.EndReason.COMPLETED)


PNG = (
    "data:image/png;base64,"
    "iVBORw0KGgoAAAANSUhEUgAAAAIAAAACCAIAAAD91JpzAAAAFklEQVR4nGP8z8DwnwEJMCFzGBgYAAAUCAIBh9xWzQAAAABJRU5ErkJggg=="
)
"""Four pixels."""


async def image(text: str, turn: Any) -> Events:
    """Draws; further words are addresses of images it shows beside its own."""
    yield e.Working("Drawing")
    item = ItemId(f"{turn.id}:image")
    yield e.ImageStarted(item, {"prompt": "a cat"})
    yield e.ImagePartial(item, GeneratedImage(PNG, "image/png", 240, 160), 0)
    if "wait" in text:
        await turn.stopped.wait()
        yield e.TurnEnded(e.EndReason.INTERRUPTED)
        return
    others = tuple(GeneratedImage(word) for word in text.split()[1:])
    yield e.ImageCompleted(item, (GeneratedImage(PNG, "image/png", 240, 160), *others))
    yield e.ImageFailed(ItemId(f"{turn.id}:no"), ErrorInfo("<b>The model refused.</b>", "policy"))
    yield e.TurnEnded(e.EndReason.COMPLETED)


async def compact(_: str, turn: Any) -> Events:
    """Uses much of its context, then shortens it."""
    yield e.UsageUpdated(Usage(input=240_000, output=2_000), ContextWindow(242_000, 272_000, 245_000), 0.4213)
    async for event in _text(turn, "answer", "Much was said."):
        yield event
    if "now" in _:
        yield e.ContextCompacted("c1", automatic=False, summary="<i>They</i> talked about prices.")
    yield e.TurnEnded(e.EndReason.COMPLETED)


async def secret(_: str, turn: Any) -> Events:
    """Asks for a key."""
    yield e.Working("Waiting for a secret")
    yield e.SecretRequested(AskId("q"), "WEATHER_KEY", "The key of the <b>weather</b> service.")
    given = await turn.told
    async for event in _text(turn, "answer", f"I was told {len(given)} characters."):
        yield event
    yield e.TurnEnded(e.EndReason.COMPLETED)


async def write(_: str, turn: Any) -> Events:
    """Writes the arguments of a command slowly."""
    shell = _ref(turn, "shell", "shell")
    yield e.Working("Writing a command")
    for piece in ('{"command": ', '"python3 -c ', "'print(1)\u202e'\""):
        yield e.ToolArguments(shell, piece)
    await turn.stopped.wait()
    yield e.ToolStarted(shell, {"command": "python3 -c 'print(1)'"})
    yield e.ToolEnded(shell, JsonResult({"stdout": "1\n", "stderr": "", "exit_code": 0}))
    yield e.TurnEnded(e.EndReason.INTERRUPTED)


async def show(text: str, turn: Any) -> Events:
    """Shows files of the room."""
    for number, url in enumerate(text.split()[1:]):
        yield e.FileShown(ItemId(f"{turn.id}:file-{number}"), url)
    yield e.TurnEnded(e.EndReason.COMPLETED)


SCRIPTS: dict[str, Callable[[str, Any], Events]] = {
    "demo": demo,
    "slow": slow,
    "approve": approve,
    "fail": fail,
    "long": long,
    "image": image,
    "show": show,
    "compact": compact,
    "secret": secret,
    "write": write,
}
