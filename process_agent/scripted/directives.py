"""Explicit scripts: a JSON list of actions that a prompt carries in a block fenced as ```script.

Each action is an object with one of these members:

    {"say": TEXT, "phase"?: "commentary" | "final_answer", "pieces"?: [TEXT], "times"?: N, "every_ms"?: MS,
     "cites"?: [{"url": URL, "title"?: TEXT}]}
    {"think": TEXT}
    {"run": COMMAND, "escalate"?: REASON, "workdir"?: PATH}
    {"patch": TEXT}                          for apply_patch, as it is
    {"write": PATH, "content": TEXT}
    {"plan": [STEP | {"step": TEXT, "status": STATUS}], "explanation"?: TEXT}
    {"call": NAME, "arguments"?: OBJECT | TEXT, "namespace"?: NAME, "custom"?: true}
    {"together": [run, patch and call actions]}   calls made in one response
    {"report": true}                         says what the tools have returned since the last report
    {"sleep_ms": MS}
    {"fault": STATUS | KIND, "code"?: TEXT, "message"?: TEXT, "retry_after"?: SECONDS, "times"?: N}
    {"raw_events": [OBJECT]}
    {"image": BASE64, "prompt"?: TEXT, "partials"?: [BASE64]}
                                             an image, as a provider's own tool makes it
    {"search": QUERY, "results"?: [{"url": URL, "title"?: TEXT}], "code"?: TEXT}
                                             a search of the web, as a provider's own tool does it, if the
                                             request offers one; with `code` it fails
    {"tokens": N}                            the response says that it read N tokens
    {"title": TEXT, "every_ms"?: MS}         nothing; TEXT is the thread's name when one is asked for
    {"when_compacted": [say, think, sleep_ms and fault actions]}
                                             nothing; done instead of a summary when one is asked for

STATUS is an HTTP status from 400, KIND one of failed, incomplete, disconnect, silence, unfinished, garbage. A
script that cannot be read is refused with HTTP 400 and the reason.
"""

from __future__ import annotations

from hashlib import sha256
from typing import Any, Literal

import msgspec

from process_agent.scripted.actions import (
    Action,
    CallTools,
    HttpFault,
    RawEvents,
    Say,
    Script,
    Search,
    Sleep,
    StreamFault,
    Think,
    Tokens,
    ToolCall,
)
from process_agent.scripted.tools import StepStatus, Tools, parse_command_reply
from process_agent.wire.responses_stream import Phase, Source

MAX_ACTIONS = 10_000
MAX_REPEATS = 1_000_000
MAX_PAUSE_MS = 600_000
MAX_TOKENS = 1_000_000_000


class _Directive(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """One entry of a script; `_kind` sees to it that it asks for exactly one thing."""

    say: str | None = None
    phase: Phase = None
    pieces: tuple[str, ...] | None = None
    times: int | None = None
    every_ms: float = 0
    think: str | None = None
    run: str | None = None
    escalate: str | None = None
    workdir: str | None = None
    patch: str | None = None
    write: str | None = None
    content: str = ""
    plan: tuple[str | dict[str, str], ...] | None = None
    explanation: str = ""
    call: str | None = None
    arguments: dict[str, Any] | str | None = None
    namespace: str | None = None
    custom: bool = False
    together: tuple[_Directive, ...] | None = None
    report: Literal[True] | None = None
    sleep_ms: float | None = None
    fault: int | Literal["failed", "incomplete", "disconnect", "silence", "unfinished", "garbage"] | None = (
        None
    )
    code: str = "server_error"
    message: str = "The scripted model was asked to fail."
    retry_after: int | None = None
    raw_events: tuple[dict[str, Any], ...] | None = None
    image: str | None = None
    prompt: str = ""
    partials: tuple[str, ...] = ()
    search: str | None = None
    results: tuple[Source, ...] = ()
    cites: tuple[Source, ...] = ()
    tokens: int | None = None
    title: str | None = None
    when_compacted: tuple[_Directive, ...] | None = None


_KINDS = (
    "say",
    "think",
    "run",
    "patch",
    "write",
    "plan",
    "call",
    "together",
    "report",
    "sleep_ms",
    "fault",
    "raw_events",
    "image",
    "search",
    "tokens",
    "title",
    "when_compacted",
)
_SILENT = ("title", "when_compacted")
_INSIDE = {"together": ("run", "patch", "call"), "when_compacted": ("say", "think", "sleep_ms", "fault")}
"""What may stand inside another action."""


def directed(text: str, tools: Tools) -> Script:
    """The script written in `text`."""
    try:
        directives = msgspec.json.decode(text, type=list[_Directive])
        _check(directives)
    except (msgspec.DecodeError, ValueError) as error:
        yield HttpFault(400, "invalid_script", f"The script block cannot be used: {error}")
        return
    returned: list[str] = []
    for directive in directives:
        if any(getattr(directive, kind) is not None for kind in _SILENT):
            continue
        if directive.report:
            yield Say("\n".join(returned), "final_answer")
            returned.clear()
            continue
        simple = _simple(directive)
        if isinstance(simple, Search) and tools.find("web_search") is None:
            yield HttpFault(400, "invalid_script", "No search of the web is on offer.")
        elif simple is not None:
            yield simple
        elif directive.write is not None:
            returned.append((yield from tools.write(directive.write, directive.content)))
        elif directive.run is not None:
            reply = yield from tools.run(
                directive.run, escalate=directive.escalate, workdir=directive.workdir
            )
            returned.append(reply.output)
        elif directive.plan is not None:
            yield from tools.plan(directive.explanation, [_step(step) for step in directive.plan])
        else:
            replies = yield CallTools(_calls(directive, tools))
            returned.extend(parse_command_reply(reply).output for reply in replies)


def scripted_title(text: str) -> Say | None:
    """The title that a script has for its thread."""
    for each in _readable(text):
        if each.title is not None:
            return Say(each.title, every_ms=each.every_ms)
    return None


def scripted_summary(text: str) -> Script | None:
    """What a script has to be done when the conversation is compacted."""
    for directive in _readable(text):
        if directive.when_compacted is not None:
            return _all(directive.when_compacted)
    return None


def _readable(text: str) -> list[_Directive]:
    try:
        return msgspec.json.decode(text, type=list[_Directive])
    except (msgspec.DecodeError, ValueError):
        return []


def _all(directives: tuple[_Directive, ...]) -> Script:
    for directive in directives:
        simple = _simple(directive)
        if simple is not None:
            yield simple


def _simple(directive: _Directive) -> Action | None:
    """The action of a directive that calls no tool."""
    if directive.say is not None:
        text = directive.say * (directive.times or 1)
        pieces = (directive.say,) * directive.times if directive.times else directive.pieces
        return Say(
            "".join(pieces) if pieces else text, directive.phase, pieces, directive.every_ms, directive.cites
        )
    if directive.think is not None:
        return Think(directive.think)
    if directive.sleep_ms is not None:
        return Sleep(directive.sleep_ms)
    if directive.raw_events is not None:
        return RawEvents(directive.raw_events)
    if directive.image is not None:
        return RawEvents(_image_events(directive.image, directive.prompt, directive.partials))
    if directive.search is not None:
        failed = None if directive.code == _Directive().code else directive.code
        return Search(directive.search, directive.results, failed)
    if directive.tokens is not None:
        return Tokens(directive.tokens)
    if isinstance(directive.fault, int):
        return HttpFault(
            directive.fault, directive.code, directive.message, directive.retry_after, directive.times
        )
    if directive.fault is not None:
        return StreamFault(directive.fault, directive.code, directive.message, directive.times)
    return None


def _image_events(data: str, prompt: str, partials: tuple[str, ...]) -> tuple[dict[str, Any], ...]:
    item = {"type": "image_generation_call", "id": f"ig_{sha256(data.encode()).hexdigest()[:16]}"}
    done = {**item, "status": "completed", "result": data, "revised_prompt": prompt}
    return (
        {"type": "response.output_item.added", "output_index": 0, "item": {**item, "status": "in_progress"}},
        *(
            {
                "type": "response.image_generation_call.partial_image",
                "output_index": 0,
                "item_id": item["id"],
                "partial_image_index": number,
                "partial_image_b64": partial,
            }
            for number, partial in enumerate(partials)
        ),
        {"type": "response.output_item.done", "output_index": 0, "item": done},
    )


def _calls(directive: _Directive, tools: Tools) -> tuple[ToolCall, ...]:
    if directive.together is not None:
        return tuple(call for part in directive.together for call in _calls(part, tools))
    if directive.patch is not None:
        return (tools.patch_call(directive.patch),)
    if directive.run is not None:
        call = tools.command_call(directive.run, escalate=directive.escalate, workdir=directive.workdir)
        return (call,) if call is not None else ()
    arguments = directive.arguments if directive.arguments is not None else {}
    text = arguments if isinstance(arguments, str) else msgspec.json.encode(arguments).decode()
    kind: Literal["custom", "function"] = "custom" if directive.custom else "function"
    return (ToolCall(kind, directive.call or "", text, directive.namespace),)


def _step(step: str | dict[str, str]) -> tuple[str, StepStatus]:
    if isinstance(step, str):
        return step, "pending"
    return msgspec.convert((step.get("step", ""), step.get("status", "pending")), tuple[str, StepStatus])


def _check(directives: list[_Directive] | tuple[_Directive, ...], inside: str = "") -> None:
    """Raise ValueError that names the first entry which asks for nothing, for two things or for too much."""
    if len(directives) > MAX_ACTIONS:
        raise ValueError(f"more than {MAX_ACTIONS} actions")
    for number, directive in enumerate(directives, 1):
        where = f"action {number}{inside}"
        kinds = [kind for kind in _KINDS if getattr(directive, kind) is not None]
        if len(kinds) != 1:
            raise ValueError(f"{where} asks for {' and '.join(kinds) or 'nothing'}, not for one thing")
        _check_numbers(directive, where)
        for step in directive.plan or ():
            _step(step)
        for name, allowed in _INSIDE.items():
            parts = getattr(directive, name) or ()
            if any(all(getattr(part, kind) is None for kind in allowed) for part in parts):
                raise ValueError(f"{where} may hold only {', '.join(allowed[:-1])} and {allowed[-1]}")
            _check(parts, f" in the `{name}` of {where}")


def _check_numbers(directive: _Directive, where: str) -> None:
    if not 0 <= (directive.times or 0) <= MAX_REPEATS:
        raise ValueError(f"{where} has `times` outside 0 to {MAX_REPEATS}")
    if not 0 <= max(directive.sleep_ms or 0, directive.every_ms) <= MAX_PAUSE_MS:
        raise ValueError(f"{where} pauses for more than {MAX_PAUSE_MS} ms")
    if not 0 <= (directive.tokens or 0) <= MAX_TOKENS:
        raise ValueError(f"{where} has `tokens` outside 0 to {MAX_TOKENS}")
    if isinstance(directive.fault, int) and not 400 <= directive.fault <= 599:
        raise ValueError(f"{where} has a status that is no error")
