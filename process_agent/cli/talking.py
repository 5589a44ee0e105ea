"""Talking to an agent from a terminal, interactively or one turn for scripts: what `chat` and `run` share."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from process_agent.cli.one_turn import turn_options
from process_agent.errors import ProcessError, TurnRefusedError, UsageError
from process_agent.viewer.approve import Approve

if TYPE_CHECKING:
    from process_agent.core.ids import ThreadId
    from process_agent.core.requests import ModelWish, TurnOptions
    from process_agent.core.room_ports import RoomFiles, RoomImages
    from process_agent.viewer.attaching import Attaching
    from process_agent.viewer.client import AgentClient

DEFAULT_WAIT = 30.0

Thread = Annotated[
    str | None,
    typer.Option(
        "--thread",
        "--thread-id",
        metavar="THREAD",
        help="Go on with this thread: its path, the start of its id, its name or number.",
    ),
]
Message = Annotated[
    str | None,
    typer.Option(
        "--message",
        metavar="TEXT",
        help="Run one turn, print the answer and exit; - reads the text from stdin.",
    ),
]
TurnJson = Annotated[
    bool, typer.Option("--json", help="With --message: print every agent message as a line of JSON.")
]
HowToApprove = Annotated[
    Approve | None,
    typer.Option(
        "--approve",
        metavar="HOW",
        help="Requests for approval: ask (here), wait (for other participants), never or always accept."
        " [default: ask; wait with --message]",
    ),
]
Effort = Annotated[
    str | None,
    typer.Option("--effort", metavar="LEVEL", help="How much the model reasons in a --message turn."),
]
OutputSchema = Annotated[
    Path | None,
    typer.Option(
        "--output-schema", metavar="FILE", help="JSON schema that the answer of a --message turn follows."
    ),
]
Attach = Annotated[
    list[Path] | None,
    typer.Option(
        "--attach", metavar="FILE", help="Send this file with the --message. Repeatable, up to 20 of 64 MiB."
    ),
]
Person = Annotated[
    str | None,
    typer.Option("--name", "--user", metavar="NAME", help="Your name in the room. [default: the login name]"),
]
Timeout = Annotated[
    float | None,
    typer.Option("--timeout", metavar="SECONDS", min=0.1, help="Seconds until a --message turn is stopped."),
]


@dataclass(frozen=True, slots=True)
class Talk:
    """What the command line says about a conversation. `message` is None for the interactive terminal."""

    message: str | None
    thread: str | None
    json: bool
    approve: Approve
    model: str | None
    timeout: float | None
    wait: float
    history: Path
    """File of the lines typed before."""
    options: TurnOptions
    attach: tuple[Path, ...] = ()
    """Files that go with the message."""


def talk_of(
    message: str | None,
    *,
    thread: str | None,
    json: bool,
    approve: Approve | None,
    timeout: float | None,
    history: Path,
    model: str | None = None,
    wait: float = DEFAULT_WAIT,
    effort: str | None = None,
    output_schema: Path | None = None,
    attach: Sequence[Path] | None = None,
) -> Talk:
    """The flags, checked. Raises `UsageError`."""
    how = approve or (Approve.ASK if message is None else Approve.WAIT)
    options = turn_options(effort, output_schema)
    files = tuple(attach or ())
    talk = Talk(_text(message), thread, json, how, model, timeout, wait, history, options, files)
    _check(talk)
    return talk


async def converse(
    talk: Talk,
    client: AgentClient,
    *,
    me: str | None,
    room: str,
    closed: Callable[[], Awaitable[ProcessError | None]],
    files: RoomFiles | None = None,
    images: RoomImages | None = None,
) -> str | None:
    """Find the agent and talk to it; `files` and `images` are what the room keeps. Returns the thread that
    was open at the end of an interactive talk.
    """
    from process_agent.viewer.attaching import Attaching

    agent = await client.find(talk.wait)
    only = agent.attributes.get("meshagent.chatbot.thread-path")
    if talk.thread is None and isinstance(only, str):
        talk = replace(talk, thread=only)  # an agent with one thread for everybody
    if talk.message is not None:
        await _once(talk, client, Attaching(files))
        return None
    from process_agent.viewer.terminal.plain import printable
    from process_agent.viewer.terminal.repl import Repl
    from process_agent.viewer.terminal.saving import Saving

    repl = Repl(client, me=me, room=room, approve=talk.approve, history=talk.history)
    repl.session.saving = Saving(files, images)
    repl.session.attaching = Attaching(files)
    if talk.model is not None:
        repl.session.wish = await _wish(client, talk.model)
    thread = await repl.run(thread=talk.thread, closed=closed)
    for path in repl.left_behind:
        typer.echo(printable(f"{path} was never sent and could not be removed from the room."), err=True)
    return thread


def run_to_end(work: Callable[[], Coroutine[Any, Any, None]], *, interactive: bool) -> None:
    """Run a conversation as the whole of a command."""
    import asyncio

    quiet_logs(interactive)
    try:
        asyncio.run(work())
    except BrokenPipeError:
        _reader_is_gone()


def _text(message: str | None) -> str | None:
    import sys

    if message != "-":
        return message
    return sys.stdin.read()


def _check(talk: Talk) -> None:
    import sys

    if talk.message is not None:
        if not talk.message.strip():
            raise UsageError("The message is empty.")
        if talk.approve is Approve.ASK:
            raise UsageError(
                "--approve ask needs the interactive terminal.",
                fix="With --message use --approve wait, never or always.",
            )
        if talk.attach:
            from process_agent.viewer.attaching import check_files

            check_files(talk.attach)
        return
    given_for_one = (
        (talk.json, "--json"),
        (talk.timeout is not None, "--timeout"),
        (talk.options.effort is not None, "--effort"),
        (talk.options.output_schema is not None, "--output-schema"),
        (bool(talk.attach), "--attach"),
    )
    for given, flag in given_for_one:
        if given:
            fix = "Here /attach FILE does it." if flag == "--attach" else None
            raise UsageError(f"{flag} goes with --message.", fix=fix)
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise UsageError(
            "Talking needs a terminal for input and output.",
            fix="In scripts use --message TEXT, or --message - to read the text from stdin.",
        )


def quiet_logs(interactive: bool) -> None:
    """Keep log lines of libraries off the screen; what matters is shown by ourselves."""
    import logging

    from process_agent.cli.logs import log_to_stderr

    if interactive:
        logging.basicConfig(handlers=[logging.NullHandler()])
    else:
        log_to_stderr(logging.ERROR)


def _reader_is_gone() -> None:
    """Whoever read our output stopped: end without a complaint, also not while Python closes stdout."""
    import os
    import sys

    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    raise typer.Exit(1)


async def _once(talk: Talk, client: AgentClient, attaching: Attaching) -> None:
    import sys

    from process_agent.core.content import TextPart
    from process_agent.viewer.once import Errand, run_once
    from process_agent.viewer.terminal.streamed import JsonSink, TextSink
    from process_agent.viewer.view import AS_IT_IS

    files = tuple(await attaching.attach(talk.attach))
    errand = Errand(
        content=(TextPart(talk.message or ""), *(one.part for one in files)),
        sent=attaching.take,
        thread=None if talk.thread is None else await _thread_id(client, talk.thread),
        wish=AS_IT_IS if talk.model is None else await _wish(client, talk.model),
        options=talk.options,
        approve=talk.approve,
        limit=talk.timeout,
    )
    notes = sys.stderr if sys.stderr.isatty() else None
    sink = (JsonSink if talk.json else TextSink)(sys.stdout, notes)
    try:
        await run_once(client, errand, sink)
    except TurnRefusedError:
        attaching.give_back(files)
        raise
    finally:
        for path in await attaching.close():
            sink.notice(f"{path} was not sent and could not be removed from the room.")


async def _thread_id(client: AgentClient, ref: str) -> ThreadId:
    from process_agent.core.ids import ThreadId
    from process_agent.viewer.terminal.naming import resolve_thread

    if "://" in ref:
        return ThreadId(ref)
    return resolve_thread(ref, await client.all_threads(1_000), see="`process threads`").path


async def _wish(client: AgentClient, model: str) -> ModelWish:
    from process_agent.viewer.terminal.naming import resolve_model

    return resolve_model(model, await client.models())
