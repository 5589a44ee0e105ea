"""What a tool call is, in one line, and what it put out. Pure.

The shapes are those of the agent protocol page, section 8.3, which every client knows: toolkit `codex` with
`shell`, `apply_patch`, `diff_updated`, `plan`, `web_search`; any other tool by its name and arguments.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace

from process_agent.core.content import Json, JsonResult, LinkResult
from process_agent.core.events import ApprovalDecided
from process_agent.core.visible import visible
from process_agent.viewer.items import ToolItem, ToolState
from process_agent.viewer.terminal.diffs import FileDiff, Mood, parse_diff
from process_agent.viewer.terminal.plain import count, one_line, printable
from process_agent.viewer.terminal.written import patch_so_far, written_texts

_COMMAND_KEYS = ("command", "cmd", "script")
_DIFF_KEYS = ("patch", "diff", "input")
_SHELLS = frozenset({"shell", "local_shell", "exec_command", "command_execution", "bash"})
_EDITS = frozenset({"apply_patch", "file_change"})
_MAIN_KEYS = ("query", "path", "url", "prompt", "name", "text", "pattern")

_SAID_BEFORE = {"declined": "declined", "cancelled": "stopped", "incomplete": "unfinished"}
"""Error codes that say all in a word, so that their message is not shown below."""

NOTICES = frozenset({"warning", "retry", "notice"})
"""Tools of toolkit `codex` that only say something."""


def command_of(item: ToolItem) -> str | None:
    """The command line of a shell-like tool, else None."""
    for key in _COMMAND_KEYS:
        value = item.arguments.get(key)
        if isinstance(value, str):
            return value
        if isinstance(value, list):
            return " ".join(str(word) for word in value)
    return None


def files_of(item: ToolItem) -> list[FileDiff]:
    """The files a tool changes, when its arguments hold a unified diff."""
    for key in _DIFF_KEYS:
        value = item.arguments.get(key)
        if isinstance(value, str) and ("@@" in value or value.startswith("diff --git")):
            return parse_diff(value)
    return []


def not_among(files: Iterable[FileDiff], paths: Collection[str]) -> list[FileDiff]:
    """The files that are none of these; a path may lead further up on one side (Codex names the files of a
    turn's diff from the root of the repository, and those of a single change from its working folder).
    """
    return [f for f in files if not any(_same_file(f.path, path) for path in paths)]


def _same_file(one: str, other: str) -> bool:
    return one == other or one.endswith(f"/{other}") or other.endswith(f"/{one}")


def mood_of(item: ToolItem) -> Mood:
    """Whether the changes of files that a tool is about were made. One that was cut short may have begun."""
    if is_turn_diff(item) or item.state is ToolState.DONE:
        return "done"
    declined = item.decided is not None and not item.decided.accepted
    cut_short = item.error is not None and item.error.code in ("cancelled", "incomplete")
    return "not done" if item.state is ToolState.FAILED and (declined or not cut_short) else "to do"


def is_turn_diff(item: ToolItem) -> bool:
    """Whether this is the running diff of the whole turn rather than one change."""
    return item.ref.tool.startswith("diff")


def is_notice(item: ToolItem) -> bool:
    """Whether this only carries a sentence."""
    return item.ref.toolkit == "codex" and item.ref.tool in NOTICES


def plan_of(item: ToolItem) -> list[tuple[str, str]]:
    """The steps of a plan as (status, text); empty for any other tool."""
    steps = item.arguments.get("plan", item.arguments.get("steps"))
    if "plan" not in item.ref.tool or not isinstance(steps, list):
        return []
    return [
        (str(step.get("status", "pending")), str(step.get("step", step.get("text", ""))))
        for step in steps
        if isinstance(step, dict)
    ]


def title(item: ToolItem, width: int) -> str:
    """One line of at most `width` characters: what the tool does, or what is written of it so far."""
    if len(item.written) and not item.arguments:
        so_far = written_texts(str(item.written))
        if item.ref.tool in _EDITS:
            return patch_so_far(so_far.get("input", so_far.get("patch", "")), width)
        item = replace(item, arguments=so_far)
    command = command_of(item)
    if command is not None:
        return one_line(f"$ {command}", width)
    if item.request is not None and item.request.questions:
        return one_line(f"asked: {item.request.questions[0].text}", width)
    ref = item.ref
    name = ref.tool if ref.toolkit in ("codex", ref.namespace) else f"{ref.toolkit}.{ref.tool}"
    return one_line(f"{name.replace('_', ' ')} {_brief(item.arguments)}", width)


def question(item: ToolItem) -> str:
    """What somebody is asked to approve, in full, nothing hidden; several lines only for a diff.

    Only a tool known to run commands or change files is shown as a command or by its files: any other can
    have an argument of that name beside those that matter.
    """
    ref, arguments = item.ref, item.arguments
    key = next((k for k in _COMMAND_KEYS if isinstance(arguments.get(k), str | list)), None)
    if ref.tool in _SHELLS and key is not None:
        cwd = arguments.get("cwd")
        place = f"  (in {visible(cwd)})" if isinstance(cwd, str) and cwd else ""
        said = {key, "cwd"} if isinstance(cwd, str) else {key}
        return f"$ {visible(command_of(item) or '')}{place}{_with_rest(arguments, said)}"
    files = files_of(item) if ref.tool in _EDITS else []
    if files:
        names = ", ".join(visible(f.path) for f in files)
        return f"change {names}{_with_rest(arguments, {*_DIFF_KEYS, 'changes'})}"
    text = json.dumps(dict(arguments), ensure_ascii=False) if arguments else ""
    return f"{visible(ref.toolkit)}.{visible(ref.tool)} {visible(text)}".rstrip()


def _with_rest(arguments: Mapping[str, Json], said: Collection[str]) -> str:
    """The arguments that were not said yet, such as permissions that come with a command."""
    rest = {k: v for k, v in arguments.items() if k not in said and v not in (None, "", [], {})}
    return f"  with {visible(json.dumps(rest, ensure_ascii=False))}" if rest else ""


def output_of(item: ToolItem) -> str:
    """Everything a tool put out, for people: its log, else its result; its error last."""
    text = _log(item) or item.output or _result(item)
    if item.error is not None and item.error.code not in _SAID_BEFORE and item.error.message not in text:
        text = f"{text.rstrip()}\n{item.error.message}" if text.strip() else item.error.message
    return printable(text).rstrip()


def outcome(item: ToolItem) -> str:
    """How it ended in a few words: `exit 1 · 12 lines`, `declined by ana`, nothing for plain success."""
    if item.decided is not None and not item.decided.accepted:
        return _said(item.decided)
    if item.error is not None and item.error.code in _SAID_BEFORE:
        return _SAID_BEFORE[item.error.code]
    parts = [] if item.decided is None or item.decided.answer is not None else [_said(item.decided)]
    code = exit_code(item)
    if code:
        parts.append(f"exit {code}")
    elif item.error is not None:
        parts.append("failed")
    output = "" if plan_of(item) else output_of(item)
    if output:
        parts.append(count(output.count("\n") + 1, "line"))
    elif command_of(item) is not None and item.state is ToolState.DONE:
        parts.append("no output")
    return " · ".join(parts)


def _said(decided: ApprovalDecided) -> str:
    return printable(decided.text[0].lower() + decided.text[1:])


def exit_code(item: ToolItem) -> int | None:
    """The exit code of a command, when its result tells."""
    value = item.result.json if isinstance(item.result, JsonResult) else None
    code = value.get("exit_code") if isinstance(value, dict) else None
    return code if isinstance(code, int) and not isinstance(code, bool) else None


def failed(item: ToolItem) -> bool:
    """Whether it ended in a way people should notice."""
    return item.state is ToolState.FAILED or bool(exit_code(item))


def _log(item: ToolItem) -> str:
    """The log. Agents that send whole lines without line ends mean one line each."""
    pieces = [line.text for line in item.log]
    if len(pieces) > 1 and not any("\n" in piece for piece in pieces):
        return "\n".join(pieces)
    return "".join(pieces)


def _result(item: ToolItem) -> str:
    match item.result:
        case LinkResult(name, url):
            return f"{name} {url}"
        case JsonResult({"stdout": str()}):
            return ""
        case JsonResult(value) if value not in (None, {}, []):
            return json.dumps(value, ensure_ascii=False, indent=2)
        case _:
            return ""


def _brief(arguments: Mapping[str, Json]) -> str:
    for key in _MAIN_KEYS:
        value = arguments.get(key)
        if isinstance(value, str) and value:
            return value
    shown = {k: v for k, v in arguments.items() if v not in (None, "", [], {})}
    return json.dumps(shown, ensure_ascii=False) if shown else ""
