"""Slash commands: parsing, completion, and what their arguments name. Pure."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from process_agent.core.models import ModelInfo, ProviderModels
from process_agent.core.requests import ModelWish
from process_agent.core.store import ThreadEntry
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
    "/older": ("", "turns before the first one shown, some at a time"),
    "/status": ("", "agent, model, thread, context and cost"),
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
        case "/approve" | "/deny" | "/diff" | "/effort" | "/fork" | "/retry":
            return ForAgent(f"{name} {rest}".rstrip())
        case "/output":
            return ShowOutput(_positive(rest) if rest else 1)
        case "/save":
            return _save(rest)
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


# --- What arguments name ------------------------------------------------------------------------------


def model_names(providers: Sequence[ProviderModels]) -> Iterator[tuple[str, ProviderModels, ModelInfo]]:
    """Each model with the shortest name that is unique: `NAME`, `BACKEND/NAME` or all three parts."""
    entries = [(provider, model) for provider in providers for model in provider.models]
    names = [model.name for _, model in entries]
    pairs = [(provider.backend, model.name) for provider, model in entries]
    for provider, model in entries:
        if names.count(model.name) == 1:
            yield model.name, provider, model
        elif pairs.count((provider.backend, model.name)) == 1:
            yield f"{provider.backend}/{model.name}", provider, model
        else:
            yield f"{provider.backend}/{provider.name}/{model.name}", provider, model


def resolve_model(text: str, providers: Sequence[ProviderModels]) -> ModelWish:
    """The model a text names: bare, `backend/model`, `provider/model` or the triple.

    Raises `UsageError` that lists what is on offer, or the candidates when there are several.
    """
    found = [
        (provider, model)
        for provider in providers
        for model in provider.models
        if text in _spellings(provider, model)
    ]
    if len(found) == 1:
        provider, model = found[0]
        return ModelWish(provider.backend, provider.name, model.name)
    if found:
        candidates = ", ".join(f"{p.backend}/{p.name}/{m.name}" for p, m in found)
        raise UsageError(f"{text!r} can be any of {candidates}.", fix="Name one of them.")
    offered = ", ".join(name for name, _, _ in model_names(providers)) or "none"
    raise UsageError(f"There is no model {text!r}; on offer: {offered}.")


def full_name(wish: ModelWish) -> str:
    """All that a wish names, as `/model` takes it."""
    return "/".join(part for part in (wish.backend, wish.provider, wish.model) if part)


def _spellings(provider: ProviderModels, model: ModelInfo) -> set[str]:
    name = model.name
    return {
        name,
        f"{provider.backend}/{name}",
        f"{provider.name}/{name}",
        f"{provider.backend}/{provider.name}/{name}",
    }


def resolve_thread(ref: str, listed: Sequence[ThreadEntry], *, see: str = "/threads") -> ThreadEntry:
    """The thread a text names: its number in the list (1 being the newest), its path, the start of its
    id, or its name. Raises `UsageError`, naming `see` as the place to look, when it is none or several.
    """
    if ref.isdecimal() and 1 <= int(ref) <= len(listed):
        return listed[int(ref) - 1]
    for matches in (
        [t for t in listed if t.path == ref],
        [t for t in listed if t.path.rsplit("/", 1)[-1].startswith(ref)],
        [t for t in listed if t.name.casefold() == ref.casefold()],
    ):
        if len(matches) == 1:
            return matches[0]
        if matches:
            raise UsageError(f"{len(matches)} threads fit {ref!r}.", fix="Give more of the id.")
    raise UsageError(f"There is no thread {ref!r}.", fix=f"{see} lists them.")


# --- Completion ---------------------------------------------------------------------------------------


def completions(
    text: str,
    providers: Sequence[ProviderModels],
    listed: Sequence[ThreadEntry],
    files: Sequence[str] = (),
) -> Iterator[tuple[str, str, int]]:
    """Completions of the text before the cursor as (word, explanation, length of what it replaces). `files`
    are the names of what was shown.
    """
    if not text.startswith("/") or "\n" in text:
        return
    name, space, rest = text.partition(" ")
    if not space:
        for command, (argument, explanation) in COMMANDS.items():
            if command.startswith(name):
                yield command, f"{argument}  {explanation}".strip(), len(name)
    elif name in ("/model", "/retry"):
        yield from _model_completions(rest, providers)
    elif name == "/diff":
        yield from ((word, "", len(rest)) for word in DIFFS if word.startswith(rest))
    elif name == "/save":
        typed = rest.lstrip("'")
        yield from ((shlex.quote(file), "", len(rest)) for file in files if file.startswith(typed))
    elif name == "/open":
        yield from _thread_completions(rest, listed)


def _model_completions(typed: str, providers: Sequence[ProviderModels]) -> Iterator[tuple[str, str, int]]:
    for word, provider, model in model_names(providers):
        if typed.casefold() in word.casefold():
            yield word, model.friendly_name or provider.friendly_name, len(typed)


def _thread_completions(typed: str, listed: Sequence[ThreadEntry]) -> Iterator[tuple[str, str, int]]:
    for number, entry in enumerate(listed, 1):
        if str(number).startswith(typed) or typed.casefold() in entry.name.casefold():
            yield str(number), entry.name, len(typed)
