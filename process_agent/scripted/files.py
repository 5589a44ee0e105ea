"""Scripts that create, change and delete files."""

from __future__ import annotations

import re
import shlex

import msgspec

from process_agent.scripted.actions import Say, Script, Step, Think
from process_agent.scripted.markdown import code, command_report, fenced
from process_agent.scripted.tools import Tools

_FENCED = re.compile(r"```[^\n]*\n(?P<content>.*?)```", re.DOTALL)
_CONTENT = re.compile(
    r"[\s,]*(?:(?:with|containing|that says|saying)(?: the)?(?: (?:content|text|line))?s?\s*:?|:)"
    r"\s*(?P<content>.+)",
    re.IGNORECASE | re.DOTALL,
)
_PRINTS = re.compile(r"[\s,]*(?:that |which |to )?prints? (?P<content>.+)", re.IGNORECASE | re.DOTALL)
_AND_RUN = re.compile(r"(?:and )?(?:then )?\b(?:run|execute) (?:it|this|that)[.!]*\Z", re.IGNORECASE)

_RUNNERS = {"py": "python3", "sh": "sh", "js": "node"}


def create(tools: Tools, path: str, rest: str) -> Script:
    """Create a file; `rest` is what the prompt says after its name, like `with "hello" and run it`."""
    wanted = without_ending(rest, _AND_RUN)
    content = _wanted_content(path, wanted)
    yield Think(f"**Writing {path}**\n\nThe scripted model writes the file and leaves the rest to the agent.")
    said = yield from tools.write(path, content)
    answer = _change_report("created", path, said)
    if wanted != rest.rstrip():
        command = f"{_RUNNERS.get(_ending(path), 'cat')} {shlex.quote(path)}"
        reply = yield from tools.run(command)
        answer += f"\n\n{command_report(command, reply)}"
    yield Say(answer, "final_answer")


def edit(tools: Tools, path: str, rest: str) -> Script:
    """Change a file as a prompt says in words; without any that can be followed, add a line."""
    fenced_content = _FENCED.search(rest)
    if fenced_content is not None:
        return create(tools, path, rest)
    added = _CONTENT.fullmatch(rest)
    return append(tools, path, unquote(added["content"]) if added else "A line by the scripted model.")


def append(tools: Tools, path: str, line: str) -> Script:
    """Add a line at the end of a file."""
    old = yield from _read(tools, path)
    if old is not None:
        joined = old if old.endswith("\n") or not old else old + "\n"
        said = yield from tools.change(path, old, f"{joined}{line}\n")
        yield Say(_change_report("changed", path, said), "final_answer")


def replace(tools: Tools, path: str, old: str, new: str) -> Script:
    """Replace a text wherever it stands in a file."""
    content = yield from _read(tools, path)
    if content is None:
        return
    if not old or old not in content:
        yield Say(f"{code(path)} does not hold {code(old)}, so I changed nothing.", "final_answer")
        return
    said = yield from tools.change(path, content, content.replace(old, new))
    yield Say(_change_report("changed", path, said), "final_answer")


def delete(tools: Tools, path: str) -> Script:
    """Delete a file."""
    said = yield from tools.delete(path)
    yield Say(_change_report("deleted", path, said), "final_answer")


def _read(tools: Tools, path: str) -> Step[str | None]:
    """The content of a file; None after saying why it cannot be had."""
    command = f"cat {shlex.quote(path)}"
    reply = yield from tools.run(command)
    if reply.ok and reply.whole:
        return reply.output
    why = (
        command_report(command, reply) if not reply.ok else f"{code(path)} is too long for a scripted model."
    )
    yield Say(f"I changed nothing. {why}", "final_answer")
    return None


def _change_report(done: str, path: str, said: str) -> str:
    if "Success" in said or not said.strip():
        return f"I {done} {code(path)}."
    return f"{code(path)} was not {done}. The tool said:\n\n{fenced(said)}"


def _wanted_content(path: str, wanted: str) -> str:
    for pattern in (_FENCED, _CONTENT):
        found = pattern.search(wanted) if pattern is _FENCED else pattern.fullmatch(wanted)
        if found is not None:
            text = found["content"] if pattern is _FENCED else unquote(found["content"])
            return text if text.endswith("\n") else text + "\n"
    prints = _PRINTS.fullmatch(wanted)
    return _program(path, unquote(prints["content"]) if prints else "Hello from the scripted model!")


def _program(path: str, text: str) -> str:
    quoted = msgspec.json.encode(text).decode()
    match _ending(path):
        case "py":
            return f'def main() -> None:\n    print({quoted})\n\n\nif __name__ == "__main__":\n    main()\n'
        case "sh":
            return f"#!/bin/sh\necho {shlex.quote(text)}\n"
        case "js":
            return f"console.log({quoted});\n"
        case "json":
            return f'{{"text": {quoted}}}\n'
        case "md":
            return f"# {text}\n\nWritten by the scripted model.\n"
        case _:
            return text + "\n"


def _ending(path: str) -> str:
    return path.rpartition(".")[2].lower()


def unquote(text: str) -> str:
    """Text without the space and the one pair of quotation marks around it."""
    text = text.strip()
    if len(text) >= 2 and text[0] == text[-1] and text[0] in "`\"'":
        return text[1:-1]
    return text


def without_ending(text: str, ending: re.Pattern[str]) -> str:
    """Text without a phrase at its end and what led up to it; without it, text as it is but for its space.

    The phrase begins where its first word does, so that long runs of space cost nothing.
    """
    text = text.rstrip()
    found = ending.search(text)
    return text if found is None else text[: found.start()].rstrip(" \t\n,(")
