"""Slash commands: which there are, and how a line is read. Pure."""

from __future__ import annotations

import shlex
from dataclasses import dataclass

from process_agent.errors import UsageError


@dataclass(frozen=True, slots=True)
class Say:
    """Text for the agent."""

    text: str


@dataclass(frozen=True, slots=True)
class Help:
    """`/help`"""


@dataclass(frozen=True, slots=True)
class ShowModels:
    """`/models`, and `/model` without a name."""


@dataclass(frozen=True, slots=True)
class ChooseModel:
    """`/model NAME`"""

    name: str


@dataclass(frozen=True, slots=True)
class ShowThreads:
    """`/threads`"""


@dataclass(frozen=True, slots=True)
class OpenThreadNamed:
    """`/open N|ID`"""

    ref: str


@dataclass(frozen=True, slots=True)
class NewThread:
    """`/new`"""


@dataclass(frozen=True, slots=True)
class Stop:
    """`/stop`"""


@dataclass(frozen=True, slots=True)
class ShowOutput:
    """`/output [N]`: unfold the N-th last tool call, 1 being the last."""

    number: int = 1


@dataclass(frozen=True, slots=True)
class ShowOlder:
    """`/older`"""


@dataclass(frozen=True, slots=True)
class Save:
    """`/save [NAME|N] [PATH]`: a file that was shown, the last one without a name."""

    ref: str = ""
    path: str = ""


@dataclass(frozen=True, slots=True)
class Attach:
    """`/attach FILE …`; without a name it shows what is attached."""

    text: str


@dataclass(frozen=True, slots=True)
class Detach:
    """`/detach [NAME|N]`"""

    ref: str


@dataclass(frozen=True, slots=True)
class ForAgent:
    """A command that the agent itself knows, sent to it as it was typed."""

    text: str


@dataclass(frozen=True, slots=True)
class ShowStatus:
    """`/status`"""


@dataclass(frozen=True, slots=True)
class Quit:
    """`/quit`"""


type Command = (
    Say
    | Help
    | ShowModels
    | ChooseModel
    | ShowThreads
    | OpenThreadNamed
    | NewThread
    | Stop
    | ShowOutput
    | ShowOlder
    | Save
    | Attach
    | Detach
    | ForAgent
    | ShowStatus
    | Quit
)

COMMANDS: dict[str, tuple[str, str]] = {
    "/help": ("", "this list"),
    "/models": ("", "the models on offer"),
    "/model": ("NAME", "use another model from the next turn on"),
    "/effort": ("[LEVEL]", "how much the model of this thread reasons, or have it reason more or less"),
    "/threads": ("", "the agent's threads, newest first"),
    "/open": ("N|ID", "open a thread by its number in /threads, or by its id"),
    "/new": ("", "the next message starts a new thread"),
    "/stop": ("", "stop the running turn"),
    "/approve": ("[session] [N|all]", "allow what the agent asks for; session: and do not ask again"),
    "/deny": ("[cancel] [N|all]", "decline what the agent asks for; cancel: and stop the turn"),
    "/output": ("[N]", "the whole output of the last tool call, or of the N-th last"),
    "/save": (
        "[NAME|N] [PATH]",
        "save the last file that was shown here, or the one named, or the N-th last",
    ),
    "/attach": ("FILE ...", "send files with the next message; alone it lists what is attached"),
    "/detach": ("[NAME|N]", "take an attached file back, or all of them"),
    "/older": ("", "turns before the first one shown, some at a time"),
    "/status": ("", "agent, model, thread, context and cost"),
    "/usage": ("[thread]", "what this thread used and cost, by model, and the agent's threads today"),
    "/diff": ("[WHAT]", "what the last turn changed; thread: all turns; uncommitted: since the last commit"),
    "/undo": ("", "take back the file changes of the last turn; again for the turn before"),
    "/redo": ("", "bring back what /undo took back"),
    "/retry": ("[NAME]", "send the last message again, with another model if you name one"),
    "/compact": ("", "let the agent shorten what its model remembers of this thread"),
    "/fork": ("[NAME]", "go on from here in a copy of this thread"),
    "/clear": ("", "forget what was said in this thread, for everybody"),
    "/quit": ("", "leave; the agent and its turns go on"),
}
"""Name to (argument, explanation), in the order of `/help`."""

DIFFS = ("thread", "uncommitted")
"""What `/diff` can be followed by."""

_ALSO = {
    "/exit": "/quit",
    "/q": "/quit",
    "/?": "/help",
    "/thread": "/threads",
    "/interrupt": "/stop",
    "/earlier": "/older",
}


def parse(line: str) -> Command | None:
    """What a line asks for; None when it is blank.

    Text that begins with `//` is said with one slash. Raises `UsageError` for a command that is unknown or
    lacks its argument. Only a single line whose first word looks like a command counts as one, so that a
    path like `/etc/hosts` can be said.
    """
    text = line.strip()
    if not text:
        return None
    if text.startswith("//"):
        return Say(text[1:])
    name, _, rest = text.partition(" ")
    if not text.startswith("/") or "\n" in text or "/" in name[1:]:
        return Say(text)
    name, rest = _ALSO.get(name.lower(), name.lower()), rest.strip()
    if name not in COMMANDS:
        raise UsageError(f"{name} is no command.", fix="/help lists them; // says a text that begins with /.")
    if rest and not COMMANDS[name][0]:
        raise UsageError(f"{name} takes no argument.")
    return _command(name, rest)


_PLAIN: dict[str, Command] = {
    "/help": Help(),
    "/models": ShowModels(),
    "/threads": ShowThreads(),
    "/new": NewThread(),
    "/stop": Stop(),
    "/older": ShowOlder(),
    "/status": ShowStatus(),
    "/undo": ForAgent("/undo"),
    "/redo": ForAgent("/redo"),
    "/compact": ForAgent("/compact"),
    "/clear": ForAgent("/clear"),
    "/quit": Quit(),
}
"""Commands without an argument."""


def _command(name: str, rest: str) -> Command:
    match name:
        case "/model":
            return ChooseModel(rest) if rest else ShowModels()
        case "/open":
            if not rest:
                raise UsageError("/open needs the number or the id of a thread.", fix="/threads lists them.")
            return OpenThreadNamed(rest)
        case "/usage" | "/approve" | "/deny" | "/diff" | "/effort" | "/fork" | "/retry":
            return ForAgent(f"{name} {rest}".rstrip())
        case "/output":
            return ShowOutput(_positive(rest) if rest else 1)
        case "/save":
            return _save(rest)
        case "/attach":
            return Attach(rest)
        case "/detach":
            return Detach(rest)
        case _:
            return _PLAIN[name]


def _save(rest: str) -> Save:
    try:
        words = shlex.split(rest)
    except ValueError as error:
        raise UsageError("/save: a quote or a backslash is left open.") from error
    if len(words) > 2:
        raise UsageError("/save takes a name and a path.", fix="Put names with blanks in quotes.")
    return Save(*words)


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise UsageError(f"/output takes a number from 1 on, not {text!r}.")
    return int(text)
