"""Answers commands that came as plain text: each as a whole turn, at once, without a model. `/compact` waits
for its time as other turns do: it needs the backend. The workspace answers `/diff`, `/undo` and `/redo`, the
ledger `/usage`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from process_agent.core import slash, typed
from process_agent.core.content import ErrorInfo
from process_agent.core.requests import ModelWish, StartThread, StartTurn
from process_agent.core.selection import Catalogue
from process_agent.core.slash import CommandName, SlashCommand
from process_agent.core.thread_turns import ThreadTurns
from process_agent.core.threads import Thread, viewer_of
from process_agent.core.usage import UsageQuestion
from process_agent.core.workspace import FileCommand


def answer(
    turns: ThreadTurns,
    catalogue: Catalogue,
    request: StartTurn | StartThread,
    command: SlashCommand,
    threads: Iterable[Thread] = (),
) -> None:
    """Do what a command says, and say so in a turn of its own. `threads` are the open ones, for what can be
    meant for another.
    """
    viewer = viewer_of(request.envelope)
    if command.name is CommandName.COMPACT and isinstance(request, StartTurn):
        turns.accept(request, viewer, None, compact=True)
        return
    asked = _looked_up(turns, request, command)
    if isinstance(asked, FileCommand | UsageQuestion):
        if isinstance(asked, FileCommand) and asked.writes:  # an undo waits for its time
            turns.accept(request, viewer, None, files=asked)
        else:
            turns.asides.look(request, viewer, asked)
        return
    if asked is not None:
        turns.asides.answer(request, viewer, lambda: asked)
        return
    if command.name in (CommandName.APPROVE, CommandName.DENY):
        turns.asides.answer(request, viewer, lambda: typed.decide(turns, request, command, threads))
    elif command.name is CommandName.CLEAR:  # first, or what it forgets would have its own beginning in it
        turns.asides.answer(request, viewer, lambda: _clear(turns, request), act_first=True)
    else:
        turns.asides.answer(request, viewer, lambda: _reply(turns, catalogue, request, command))


def _looked_up(
    turns: ThreadTurns, request: StartTurn | StartThread, command: SlashCommand
) -> FileCommand | UsageQuestion | str | None:
    """What the workspace or the ledger is asked, or why it is not; None for other commands."""
    if command.name is CommandName.USAGE:
        if command.argument.lower() not in ("", "thread"):
            return slash.UNKNOWN_USAGE
        alone = command.argument or turns.setting.isolation == "participant"
        return UsageQuestion.THREAD if alone else UsageQuestion.THREAD_AND_TODAY
    if command.name is CommandName.DIFF:
        words = " ".join((command.name.value, *command.argument.lower().split()))
        return next((known for known in FileCommand if known.value == words), slash.UNKNOWN_DIFF)
    if command.name not in (CommandName.UNDO, CommandName.REDO):
        return None
    if not turns.at_rest:
        return slash.NO_UNDO.format(command=command.name.value)
    if not turns.setting.may_put_back(request.envelope.sender):
        return slash.MAY_NOT
    return FileCommand(command.name.value)


def _clear(turns: ThreadTurns, request: StartTurn | StartThread) -> str:
    cleared = turns.clear(request.envelope.message_id, viewer_of(request.envelope))
    return slash.CLEARED if cleared else slash.NOT_CLEARED


def _reply(
    turns: ThreadTurns, catalogue: Catalogue, request: StartTurn | StartThread, command: SlashCommand
) -> str:
    match command.name:
        case CommandName.HELP:
            return slash.help_text()
        case CommandName.NEW:
            return slash.NEW
        case CommandName.STOP:
            stopping = turns.interrupt_running(request.envelope.message_id)
            return slash.stopping_text(len(turns.queue)) if stopping else slash.NOTHING_RUNS
        case CommandName.MODEL | CommandName.MODELS | CommandName.EFFORT:
            return _about_model(turns, catalogue, request, command)
        case CommandName.COMPACT | CommandName.FORK:  # a thread that begins with it
            return slash.NOTHING_YET[command.name]
        case CommandName.CLEAR:
            return _clear(turns, request)
        case CommandName.RETRY:  # a thread that begins with it
            return slash.NOTHING_TO_RETRY
        case _:
            raise ValueError(f"{command.name.value} is answered otherwise")


def _about_model(
    turns: ThreadTurns, catalogue: Catalogue, request: StartTurn | StartThread, command: SlashCommand
) -> str:
    match command.name:
        case CommandName.MODEL if command.argument:
            return _change_model(turns, catalogue, request, command.argument)
        case CommandName.EFFORT if command.argument:
            return _change_effort(turns, catalogue, request, command.argument.lower())
        case CommandName.EFFORT:
            return slash.effort_text(turns.model, catalogue.info(turns.model))
        case _:
            listed = slash.models_text(catalogue.providers, turns.model)
            current = f"{slash.current_text(turns.model)}\n\n"
            return listed if command.name is CommandName.MODELS else current + listed


def _change_model(
    turns: ThreadTurns, catalogue: Catalogue, request: StartTurn | StartThread, name: str
) -> str:
    choice = catalogue.resolve(ModelWish(model=name), turns.model)
    if isinstance(choice, ErrorInfo):
        return choice.message
    if choice == turns.model:
        return f"This thread uses `{slash.name_of(choice)}` already."
    turns.change_model(choice, request.envelope.message_id, viewer_of(request.envelope))
    return f"This thread uses `{slash.name_of(choice)}` from its next turn on."


def _change_effort(
    turns: ThreadTurns, catalogue: Catalogue, request: StartTurn | StartThread, wanted: str
) -> str:
    info, effort = catalogue.info(turns.model), None if wanted == slash.DEFAULT else wanted
    if effort is not None and info is not None and not info.has_effort(effort):
        return slash.no_effort_text(wanted, turns.model, info)
    choice = replace(turns.model, effort=effort)
    turns.change_model(choice, request.envelope.message_id, viewer_of(request.envelope))
    return f"The reasoning effort of this thread is `{wanted}` from its next turn on."
