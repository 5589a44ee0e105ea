"""Commands that any client can send as plain text, and what they say.

A message is a command when it is one line of text, without files, whose first word is one of these names.
Every other text that begins with a slash is for the model, and so are `/clear`, `/undo` and `/redo` with more
words: they change too much.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from process_agent.core.content import ContentPart, ErrorInfo, TextPart
from process_agent.core.models import ModelChoice, ModelInfo, ProviderModels
from process_agent.core.store import ThreadEntry


class CommandName(StrEnum):
    """The first word of a command."""

    MODELS = "/models"
    MODEL = "/model"
    EFFORT = "/effort"
    CLEAR = "/clear"
    COMPACT = "/compact"
    DIFF = "/diff"
    UNDO = "/undo"
    REDO = "/redo"
    RETRY = "/retry"
    FORK = "/fork"
    STOP = "/stop"
    USAGE = "/usage"
    APPROVE = "/approve"
    DENY = "/deny"
    NEW = "/new"
    HELP = "/help"


@dataclass(frozen=True, slots=True)
class SlashCommand:
    """One command with what follows its name."""

    name: CommandName
    argument: str = ""


_NAMES = {name.value: name for name in CommandName}

_ALONE = frozenset({CommandName.CLEAR, CommandName.UNDO, CommandName.REDO})
"""Commands that change too much to be taken from a sentence that begins like them."""

_HELP = {
    "/models": "the models on offer",
    "/model": "the model of this thread",
    "/model NAME": "use another model from the next turn on",
    "/effort": "how much the model of this thread reasons",
    "/effort LEVEL": "have it reason more or less from the next turn on; `default` is its own measure",
    "/clear": "forget everything said in this thread",
    "/compact": "shorten what the model remembers of this thread",
    "/diff": "what the last turn changed, or the running one so far",
    "/diff thread": "what all turns of this thread changed",
    "/diff uncommitted": "what differs from the last commit",
    "/undo": "take back the file changes of the last turn; again for the turn before",
    "/redo": "bring back what `/undo` took back",
    "/fork": "go on from here in a copy of this thread",
    "/fork NAME": "the same, with a name for the copy",
    "/retry": "send the last message again",
    "/retry NAME": "the same with another model, which the thread keeps",
    "/stop": "stop the running turn",
    "/usage": "what this thread used and cost, by model, and all threads today",
    "/usage thread": "what this thread used and cost",
    "/approve": "allow what the agent asks for; `/approve session` for good, `/approve 2` the second",
    "/deny": "decline what the agent asks for; `/deny cancel` stops the turn too, `/deny 2` the second",
    "/new": "how to start a new thread",
    "/help": "this list",
}

DEFAULT = "default"
"""The effort that is nobody's choice."""

MAX_COMMAND = 1_000
"""Characters of a command; whatever is longer was not meant as one."""

NEW = (
    "A new thread is started by your client, not by a message in this one: use its button or command for a "
    "new chat. This thread stays as it is."
)
CLEARED = "This thread was cleared: neither people nor models see what was said before."
NOT_CLEARED = "A turn runs or waits in this thread. `/stop` it, or let it end; then send `/clear` again."
NO_UNDO = "A turn runs or waits in this thread. `/stop` it, or let it end; then send `{command}` again."
NO_RETRY = "A turn runs or waits in this thread. `/stop` it, or let it end; then send `/retry` again."
NOTHING_TO_RETRY = "There is nothing to send again: nobody has written to a model in this thread lately."
MAY_NOT = (
    "This agent is read-only (`--sandbox read-only`): only a participant who may approve file changes can "
    "take them back or bring them back."
)
UNKNOWN_DIFF = "`/diff` takes nothing, `thread` or `uncommitted`."
UNKNOWN_USAGE = "`/usage` takes nothing, or `thread`."
NOTHING_YET = {
    CommandName.COMPACT: "Nothing was said in this thread yet: there is nothing to shorten.",
    CommandName.FORK: "Nothing was said in this thread yet: there is nothing to copy.",
}
NOTHING_RUNS = "Nothing is running in this thread."


def parse(content: Iterable[ContentPart]) -> SlashCommand | None:
    """The command a message is, or None when it is for the model."""
    parts = tuple(content)
    if len(parts) != 1 or not isinstance(parts[0], TextPart):
        return None
    text = parts[0].text.strip()
    if not text.startswith("/") or len(text) > MAX_COMMAND or len(text.splitlines()) > 1:
        return None
    word, *rest = text.split(maxsplit=1)
    name = _NAMES.get(word.lower())
    if name is None or (name in _ALONE and rest):
        return None
    if name is CommandName.RETRY and len(text.split()) > 2:
        return None
    return SlashCommand(name, "".join(rest))


def help_text() -> str:
    """What `/help` says."""
    lines = [f"- `{usage}`: {what}" for usage, what in _HELP.items()]
    end = "Any other word that begins with a slash goes to the model."
    return "\n".join(["Commands this agent answers itself:", "", *lines, "", end])


def models_text(providers: Iterable[ProviderModels], current: ModelChoice) -> str:
    """What `/models` says."""
    lines = [_line(provider, model, current) for provider in providers for model in provider.models]
    if not lines:
        return f"This agent lists no models. {current_text(current)}"
    return "\n".join(["Models on offer:", "", *lines, "", "`/model NAME` chooses one for this thread."])


def current_text(current: ModelChoice) -> str:
    """Which model the thread uses."""
    return f"This thread uses `{name_of(current)}`."


def effort_text(current: ModelChoice, info: ModelInfo | None) -> str:
    """What `/effort` says."""
    if info is not None and not info.takes_efforts:
        return f"`{name_of(current)}` takes no reasoning effort: it reasons as it sees fit, or not at all."
    own = f", which is `{info.default_effort}`" if info is not None and info.default_effort else ""
    used = f"`{current.effort}`" if current.effort else f"the default{own}"
    levels = ", ".join(f"`{level}`" for level in (info.efforts if info is not None else ()))
    more = f" Others: {levels}." if levels else ""
    return f"The reasoning effort of this thread is {used}.{more} `/effort LEVEL` chooses one."


def no_effort_text(wanted: str, current: ModelChoice, info: ModelInfo) -> str:
    """What `/effort` says about a level that the model does not have."""
    if not info.takes_efforts:
        return f"`{name_of(current)}` takes no reasoning effort."
    levels = ", ".join(f"`{level}`" for level in info.efforts)
    return f"`{name_of(current)}` has no reasoning effort `{wanted}`. There is: {levels}, `{DEFAULT}`."


def stopping_text(waiting: int) -> str:
    """What `/stop` says when something runs; `waiting` turns come after it."""
    if not waiting:
        return "Stopping the running turn."
    more = "1 more turn waits and runs" if waiting == 1 else f"{waiting} more turns wait and run"
    return f"Stopping the running turn. {more} after it."


def forked_text(entry: ThreadEntry, *, without_running: bool) -> str:
    """What `/fork` says."""
    left_out = " The turn that runs is not in it." if without_running else ""
    return (
        f"What was said so far is also in a thread of its own now, **{entry.name}** (`{entry.path}`). Choose "
        f"it in your list of threads to go on there; this thread stays as it is.{left_out}"
    )


def not_forked_text(error: ErrorInfo) -> str:
    """What `/fork` says when there is no copy."""
    return f"This thread was not copied. {error.message}"


def name_of(choice: ModelChoice) -> str:
    """The full name of a model, as `/model` takes it."""
    return "/".join(part for part in (choice.backend, choice.provider, choice.model) if part)


def _line(provider: ProviderModels, model: ModelInfo, current: ModelChoice) -> str:
    choice = ModelChoice(provider.backend, provider.name, model.name)
    friendly = model.friendly_name if model.friendly_name not in (None, model.name) else None
    window = None if model.context_window is None else f"{model.context_window:,} tokens"
    notes = ", ".join(note for note in (friendly, window) if note)
    mark = " **← this thread**" if choice.same_model(current) else ""
    return f"- `{name_of(choice)}`" + (f" ({notes})" if notes else "") + mark
