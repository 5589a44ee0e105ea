"""What people read about requests that wait for them, in chat, where a client may draw no card. Pure.

What comes from a model, a tool or a file is quoted so that it cannot pass for words of ours, and nothing of
it is hidden: what is too long says how much is missing.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable, Mapping

from process_agent.core.content import Json
from process_agent.core.decisions import SKIPPED, Decision, Question
from process_agent.core.events import ApprovalRequested, SecretRequested
from process_agent.core.visible import visible

MAX_SHOWN = 8_000
"""Characters of a command or a diff in chat."""

MAX_BRIEF = 100

_COMMANDS = ("command", "cmd", "script")
_DIFFS = ("patch", "diff", "input")
_SHELLS = frozenset({"shell", "local_shell", "exec_command", "command_execution", "bash"})
_EDITS = frozenset({"apply_patch", "file_change"})
TYPED = {
    Decision.ACCEPT: "`/approve`",
    Decision.ACCEPT_FOR_SESSION: "`/approve session`",
    Decision.DECLINE: "`/deny`",
    Decision.CANCEL: "`/deny cancel`",
}


def asked_text(request: ApprovalRequested, agent: str, who: str, seconds: float) -> str:
    """The request as a message; `who` may decide within so many seconds."""
    if request.questions:
        return question_text(request, 0, agent, who, seconds)
    head = f"**{agent} asks to {_verb(request)}** (request {request.number})"
    why = [] if not request.reason else [_quoted(request.reason)]
    choices = ", ".join(TYPED[decision] for decision in request.decisions if decision in TYPED)
    end = f"Answer with {choices}. It is up to {who}; without an answer in {seconds:g} s it is declined."
    return "\n\n".join([head, *_subject(request), *why, end])


def secret_text(asked: SecretRequested, agent: str, who: str, seconds: float) -> str:
    """That a secret is asked for, and where it can be given: never here. The prompt is for the one who is
    asked, alone.
    """
    return (
        f"**{agent} asks {code(who, MAX_BRIEF)} for a secret:** {code(asked.name, MAX_BRIEF)}\n\n"
        "It can be given where the client asks for it: Studio and `process chat` do, what is typed there is "
        "hidden and stored nowhere. Do not write it in a message. "
        f"Without it in {seconds:g} s the agent goes on without it."
    )


def question_text(request: ApprovalRequested, position: int, agent: str, who: str, seconds: float) -> str:
    """One question of a request, and how to answer it."""
    question, count = request.questions[position], len(request.questions)
    of = f", question {position + 1} of {count}" if count > 1 else ""
    head = f"**{agent} asks** (request {request.number}{of})"
    why = [_quoted(request.reason)] if request.reason and position == 0 else []
    return "\n\n".join(
        [
            head,
            *why,
            _quoted(": ".join(part for part in (question.header, question.text) if part)),
            *_options(question),
            f"{_how(question)}, or decline with `/deny`. It is up to {who}; after {seconds:g} s the agent "
            "goes on without an answer.",
        ]
    )


def how_to_answer(question: Question) -> str:
    """What to send, to one whose answer could not be used."""
    return "\n\n".join([*_options(question), f"{_how(question)}."])


def brief(request: ApprovalRequested) -> str:
    """The request in a few words, as part of a line."""
    if request.questions:
        return f"the question {code(request.questions[0].text, MAX_BRIEF)}"
    command = _command(request)
    if command is not None:
        return f"the command {code(command, MAX_BRIEF)}"
    files = _files(request.arguments)
    if _diff(request) is not None and files:
        return f"the change of {code(', '.join(files), MAX_BRIEF)}"
    return code(f"{request.ref.toolkit}.{request.ref.tool}", MAX_BRIEF)


def listed(requests: Iterable[ApprovalRequested]) -> str:
    """Several requests, a line each."""
    return "\n".join(f"- `{request.number}`: {brief(request)}" for request in requests)


def code(text: str, limit: int) -> str:
    """Text of others as code within a line."""
    shown = visible(text)
    if len(shown) > limit:
        shown = shown[: limit - 1] + "…"
    ticks = "`" * (_longest_run(shown) + 1)
    pad = " " if shown.startswith("`") or shown.endswith("`") or not shown else ""
    return f"{ticks}{pad}{shown}{pad}{ticks}"


def _verb(request: ApprovalRequested) -> str:
    if _command(request) is not None:
        return "run a command"
    if _diff(request) is not None:
        return "change files"
    return f"use {code(f'{request.ref.toolkit}.{request.ref.tool}', MAX_BRIEF)}"


def _subject(request: ApprovalRequested) -> list[str]:
    arguments = request.arguments
    command, diff = _command(request), _diff(request)
    if command is not None:
        cwd = arguments.get("cwd")
        place = [f"in {code(cwd, 1_000)}"] if isinstance(cwd, str) and cwd else []
        said = (*_COMMANDS, *(("cwd",) if place else ()))
        return [_block(command, "sh"), *place, *_rest(arguments, said)]
    if diff is not None:
        return [_block(diff, "diff"), *_rest(arguments, (*_DIFFS, "changes"))]
    return [_block(json.dumps(dict(arguments), ensure_ascii=False, indent=2), "json")] if arguments else []


def _rest(arguments: Mapping[str, Json], said: Collection[str]) -> list[str]:
    """What was not said yet, such as permissions that come with a command."""
    rest = {k: v for k, v in arguments.items() if k not in said and v not in (None, "", [], {})}
    return ["with", _block(json.dumps(rest, ensure_ascii=False, indent=2), "json")] if rest else []


def _command(request: ApprovalRequested) -> str | None:
    """Only of a tool known to run commands: any other can have an argument of that name beside those that
    matter.
    """
    if request.ref.tool not in _SHELLS:
        return None
    value = next((v for k in _COMMANDS if (v := request.arguments.get(k)) is not None), None)
    if isinstance(value, list):
        return " ".join(map(str, value))
    return value if isinstance(value, str) else None


def _diff(request: ApprovalRequested) -> str | None:
    if request.ref.tool not in _EDITS:
        return None
    return next((v for k in _DIFFS if isinstance(v := request.arguments.get(k), str) and v), None)


def _files(arguments: Mapping[str, Json]) -> list[str]:
    changes = arguments.get("changes")
    found = changes if isinstance(changes, list) else []
    return [str(change["path"]) for change in found if isinstance(change, dict) and "path" in change]


def _block(text: str, language: str) -> str:
    lines = "\n".join(visible(line) for line in text.rstrip("\n").split("\n"))
    left_out = len(lines) - MAX_SHOWN
    fence = "`" * max(_longest_run(lines) + 1, 3)
    block = f"{fence}{language}\n{lines[:MAX_SHOWN]}\n{fence}"
    if left_out <= 0:
        return block
    return (
        f"{block}\n\n**{left_out:,} more characters are not shown here.** The tool call itself has all of it."
    )


def _longest_run(text: str) -> int:
    return max((len(run) for run in re.findall("`+", text)), default=0)


def _quoted(text: str) -> str:
    lines = [visible(line) for line in text[:MAX_SHOWN].split("\n")]
    return "\n".join(f"> {line}" for line in lines)


def _options(question: Question) -> list[str]:
    if not question.options:
        return []
    lines = [
        f"{number}. {code(option.label, 200)}"
        + (f" – {code(option.description, 500)}" if option.description else "")
        for number, option in enumerate(question.options, 1)
    ]
    return ["\n".join(lines)]


def _how(question: Question) -> str:
    if question.kind != "text":
        how = "Answer with a number" if question.kind == "number" else "Answer with a whole number"
    elif not question.options:
        how = "Answer with a message"
    else:
        several = " (several: `1, 3`)" if question.several else ""
        how = f"Answer with the number of an option{several}" + (
            ", or with words of your own" if question.free else ""
        )
    return how if question.required else f"{how}, leave it out with `{SKIPPED}`"
