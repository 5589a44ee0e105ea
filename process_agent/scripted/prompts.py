"""Which script answers a prompt: rules in order, the first that matches wins.

`docs/scripted-model.md` lists them for people. A rule gets the match and the turn, and returns the script.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

import msgspec

from process_agent.scripted import markdown
from process_agent.scripted.actions import (
    CallTools,
    HttpFault,
    Say,
    Script,
    Sleep,
    StreamFault,
    Think,
    ToolCall,
)
from process_agent.scripted.conversation import Conversation
from process_agent.scripted.demo import demo, make_plan
from process_agent.scripted.directives import directed, scripted_summary, scripted_title
from process_agent.scripted.files import append, create, delete, edit, replace, unquote, without_ending
from process_agent.scripted.tools import Tools, function

MAX_COUNT = 100_000
MAX_WAIT_S = 600.0
WAIT_STEP_MS = 100
"""While it waits, the model says something this often."""

HARMLESS = "id -un && pwd"
"""The command of a bare request for an approval."""


@dataclass(frozen=True, slots=True)
class Turn:
    """What a rule may look at."""

    conversation: Conversation
    tools: Tools


_BLOCK = re.compile(r"^```script[ \t]*\n(?P<json>.*?)^```", re.DOTALL | re.MULTILINE)
_FLAGS = re.IGNORECASE | re.DOTALL | re.MULTILINE

type Rule = Callable[[re.Match[str], Turn], Script]

_POLITE = r"\s*(?:(?:please|now|then|ok|okay|hey|hi|hello|codex|and|(?:can|could|would|will) you)[\s,:!]+)*"
_PATH = r"`?(?P<path>(?:[\w.~-]*/)*[\w.-]*\w\.\w+|(?:[\w.~-]+/)+[\w.-]+|Makefile|Dockerfile|LICENSE|README)`?"
_QUOTED = r"""(?:`[^`]*`|"[^"]*"|'[^']*'|\S+)"""
_OUTSIDE = re.compile(
    r"(?:outside(?: of)?(?: the)?(?: sandbox)?|with (?:my |an )?approval|unsandboxed|escalated?)\)?[.!]?\Z",
    re.IGNORECASE,
)


def choose(conversation: Conversation, tools: Tools) -> Script:
    """The script for the prompt of this conversation."""
    turn = Turn(conversation, tools)
    for pattern, rule in _RULES:
        match = pattern.match(conversation.prompt)
        if match is not None:
            return rule(match, turn)
    return _tell(markdown.unknown(conversation.prompt))


# --- Saying things -----------------------------------------------------------------------------


def _tell(text: str) -> Script:
    yield Say(text, "final_answer")


def _say(match: re.Match[str], turn: Turn) -> Script:
    yield Say(match["text"], "final_answer")


def _welcome(match: re.Match[str], turn: Turn) -> Script:
    return _tell(markdown.WELCOME)


def _showcase(match: re.Match[str], turn: Turn) -> Script:
    return _tell(markdown.SHOWCASE)


def _count(match: re.Match[str], turn: Turn) -> Script:
    numbers = range(1, min(int(match["number"]), MAX_COUNT) + 1)
    counted = tuple(f"{n} " if n < numbers.stop - 1 else f"{n}" for n in numbers)
    yield Say("".join(counted), "final_answer", pieces=counted)


def _wait(match: re.Match[str], turn: Turn) -> Script:
    unit = match["unit"].lower()
    scale = 0.001 if unit.startswith(("ms", "milli")) else 1 if unit.startswith("s") else 60
    seconds = min(float(match["number"]) * scale, MAX_WAIT_S)
    steps = max(1, round(seconds * 1000 / WAIT_STEP_MS))
    ticks = tuple(f" {n // 10}" if n % 10 == 0 else "." for n in range(1, steps + 1))
    said = (f"Waiting {seconds:g} seconds: ", *ticks[:-1], f"{ticks[-1]} done.")
    yield Say("".join(said), "final_answer", pieces=said, every_ms=seconds * 1000 / steps)


def _think(match: re.Match[str], turn: Turn) -> Script:
    about = match["about"].strip().rstrip(".?!") or "nothing in particular"
    yield Think(
        f"**Thinking about {about}**\n\nThe scripted model has no thoughts of its own, so it says how many "
        f"letters the question has: {sum(c.isalpha() for c in about)}."
    )
    yield Say(f"I thought about {about}, as far as a scripted model can.", "final_answer")


def _recall(match: re.Match[str], turn: Turn) -> Script:
    earlier = turn.conversation.said[:-1]
    if not earlier:
        return _tell("You have said nothing before this.")
    first = match["which"].lower() == "first"
    return _tell(f"The {match['which'].lower()} thing you said was: {earlier[0 if first else -1]}")


def _history(match: re.Match[str], turn: Turn) -> Script:
    lines = [f"{n}. {text}" for n, text in enumerate(turn.conversation.said, 1)]
    return _tell(f"So far you said {len(lines)} things:\n\n" + "\n".join(lines))


def _compaction(match: re.Match[str], turn: Turn) -> Script:
    for text in reversed(turn.conversation.said[:-1]):
        block = _BLOCK.search(text)
        script = scripted_summary(block["json"]) if block else None
        if script is not None:
            yield from script
            return
    lines = "\n".join(f"- {text}" for text in turn.conversation.said[:-1])
    yield Say(f"Summary by the scripted model. The user said:\n{lines}")


def _title(match: re.Match[str], turn: Turn) -> Script:
    block = _BLOCK.search(match["text"])
    title = scripted_title(block["json"]) if block else None
    yield title or Say(" ".join(match["text"].split()[:6]))


# --- Doing things ------------------------------------------------------------------------------


def _run(match: re.Match[str], turn: Turn) -> Script:
    wanted = match["command"].strip()
    command = without_ending(wanted, _OUTSIDE)
    escalate = command != wanted
    return _command(turn, unquote(command) or HARMLESS, escalate=escalate)


def _escalate(match: re.Match[str], turn: Turn) -> Script:
    return _command(turn, unquote(match["command"].strip()) or HARMLESS, escalate=True)


def _list_files(match: re.Match[str], turn: Turn) -> Script:
    return _command(turn, "ls -la")


def _read(match: re.Match[str], turn: Turn) -> Script:
    return _command(turn, f"cat {match['path']}")


def _command(turn: Turn, command: str, *, escalate: bool = False) -> Script:
    reason = "The scripted model was asked to run this outside the sandbox." if escalate else None
    reply = yield from turn.tools.run(command, escalate=reason)
    yield Say(markdown.command_report(command, reply), "final_answer")


def _call_tool(match: re.Match[str], turn: Turn) -> Script:
    name, text = match["name"], (match["arguments"] or "{}").strip()
    tool = turn.tools.find(name)
    if tool is None:
        offered = ", ".join(turn.tools.names()) or "none"
        yield Say(f"There is no tool {markdown.code(name)} here. On offer: {offered}.", "final_answer")
        return
    if tool.type == "custom":
        call = ToolCall("custom", tool.name, text)
    else:
        try:
            call = function(tool.name, msgspec.json.decode(text), tool.namespace)
        except msgspec.DecodeError as error:
            yield Say(f"The arguments are not JSON: {error}.", "final_answer")
            return
    replies = yield CallTools((call,))
    yield Say(f"{markdown.code(name)} answered:\n\n{markdown.fenced(replies[0])}", "final_answer")


def _demo(match: re.Match[str], turn: Turn) -> Script:
    return demo(turn.tools)


def _plan(match: re.Match[str], turn: Turn) -> Script:
    return make_plan(turn.tools, match["goal"] or "")


def _create(match: re.Match[str], turn: Turn) -> Script:
    return create(turn.tools, match["path"], match["rest"])


def _edit(match: re.Match[str], turn: Turn) -> Script:
    return edit(turn.tools, match["path"], match["rest"])


def _replace(match: re.Match[str], turn: Turn) -> Script:
    return replace(turn.tools, match["path"], unquote(match["old"]), unquote(match["new"]))


def _append(match: re.Match[str], turn: Turn) -> Script:
    return append(turn.tools, match["path"], unquote(match["text"]))


def _delete(match: re.Match[str], turn: Turn) -> Script:
    return delete(turn.tools, match["path"])


# --- Going wrong -------------------------------------------------------------------------------

_CODES = {400: "invalid_request_error", 401: "invalid_api_key", 429: "rate_limit_exceeded"}


def _http_fault(match: re.Match[str], turn: Turn) -> Script:
    status = int(match["status"])
    times = {None: None, "once": 1, "twice": 2}[match["times"] and match["times"].lower()]
    message = f"The scripted model was asked to refuse with {status}."
    yield HttpFault(status, _CODES.get(status, "server_error"), message, times=times)
    yield Say(f"It worked after being refused with {status} {match['times']}.", "final_answer")


def _stream_fault(match: re.Match[str], turn: Turn) -> Script:
    yield Say("This goes well until ")
    match match["kind"].lower():
        case "disconnect":
            yield StreamFault("disconnect")
        case "go silent" | "hang":
            yield StreamFault("silence")
        case "talk garbage":
            yield StreamFault("garbage")
        case "stop short":
            yield StreamFault("incomplete", "max_output_tokens")
        case _:
            yield StreamFault("failed", "invalid_prompt")


def _sleep(match: re.Match[str], turn: Turn) -> Script:
    yield Sleep(min(float(match["number"]), MAX_WAIT_S) * 1000)
    yield Say("Good morning.", "final_answer")


# --- The table ---------------------------------------------------------------------------------


def _directives(match: re.Match[str], turn: Turn) -> Script:
    return directed(match["json"], turn.tools)


def _rule(pattern: str, rule: Rule, *, polite: bool = True) -> tuple[re.Pattern[str], Rule]:
    return re.compile((_POLITE if polite else "") + pattern, _FLAGS), rule


_A_FILE = r"(?:(?:a|an|the|new|empty|file|script|program|module|named|called)\s+)*"
_END = r"[\s.!?]*\Z"

_RULES: tuple[tuple[re.Pattern[str], Rule], ...] = (
    _rule(r"Name this conversation, which begins with:\n\n(?P<text>.*)", _title, polite=False),
    _rule(r".*?^```script[ \t]*\n(?P<json>.*?)^```", _directives, polite=False),
    _rule(r"You are performing a CONTEXT CHECKPOINT COMPACTION", _compaction, polite=False),
    _rule(r"Summarise this conversation for whoever goes on with it", _compaction, polite=False),
    _rule(r"\s*(?:please\s+)?say:?\s(?P<text>.+)\Z", _say, polite=False),
    _rule(r"count (?:up )?to (?P<number>\d{1,9})\b", _count),
    _rule(r"wait (?:for )?(?P<number>\d+(?:\.\d+)?) ?(?P<unit>ms|milli\w*|s\w*|m\w*)\b", _wait),
    _rule(r"sleep (?:for )?(?P<number>\d+(?:\.\d+)?)", _sleep),
    _rule(
        r"(?:fail with |(?:http )?error |(?:http )?status )(?P<status>[45]\d\d)(?: (?P<times>once|twice))?"
        + _END,
        _http_fault,
    ),
    _rule(r"(?P<kind>fail|disconnect|go silent|hang|stop short|talk garbage)" + _END, _stream_fault),
    _rule(r"what (?:did i say|was my message|have i said) (?P<which>first|last)", _recall),
    _rule(r"what was (?:the|my) (?P<which>first|last) (?:thing|message)", _recall),
    _rule(r"(?:what (?:did i say|have i said)|list (?:the|our) (?:history|messages))", _history),
    _rule(
        r"(?:fix|repair) (?:the |my |this )?(?:demo|tests?|bug|check)|(?:show me )?(?:a |the )?demo" + _END,
        _demo,
    ),
    _rule(r"(?:show me what you can do|surprise me)", _demo),
    _rule(
        r"(?:(?:make|write|create|draft|give|show)(?: me)?(?: a| the)? )?plan\b"
        r"(?:\s*(?:to|for|how to|:))?(?P<goal>.*)",
        _plan,
    ),
    _rule(r"(?:think|reason)\b(?: hard)?(?: about)?(?P<about>.*)", _think),
    _rule(
        r"(?:call|use)(?: the)?(?: tool)? `?(?P<name>[\w-]+(?:\.[\w-]+)?)`?(?: with)?"
        r"\s*(?P<arguments>\{.*\})?" + _END,
        _call_tool,
    ),
    _rule(
        r"(?:escalate|go outside|outside|ask (?:me )?for (?:an |my )?approval)\b\s*:?(?P<command>.*)",
        _escalate,
    ),
    _rule(
        r"(?:list|show)(?: me)?(?: the| my| all)* (?:files|folder|directory)|what(?:'s| is) in this folder",
        _list_files,
    ),
    _rule(
        r"(?:run|execute|exec)(?:\s*:)?\s+(?:(?:the|this) )?(?:(?:shell )?command\s*:?\s+)?(?P<command>.+)",
        _run,
    ),
    _rule(r"[$!]\s*(?P<command>\S.*)", _run),
    _rule(
        rf"(?:replace|change) (?P<old>{_QUOTED}) (?:with|to|by|into) (?P<new>{_QUOTED}) in {_A_FILE}{_PATH}",
        _replace,
    ),
    _rule(rf"(?:append|add) (?:the line )?(?P<text>{_QUOTED}) to {_A_FILE}{_PATH}", _append),
    _rule(rf"(?:delete|remove) {_A_FILE}{_PATH}", _delete),
    _rule(rf"(?:create|write|make|add) {_A_FILE}{_PATH}(?P<rest>.*)", _create),
    _rule(rf"(?:edit|update|change|modify) {_A_FILE}{_PATH}(?P<rest>.*)", _edit),
    _rule(rf"(?:read|cat|open|print|show)(?: me)? {_A_FILE}{_PATH}" + _END, _read),
    _rule(r"(?:show me |write )?(?:some )?(?:markdown|a table|code)\b", _showcase),
    _rule(r"(?:hello|hi|hey|help|good (?:morning|day|evening)|who are you|what can you do|\Z)\b", _welcome),
)
