"""`process chat`: talk to an agent in a room, interactively or one turn for scripts."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from process_agent.cli.options import DataDir, Local
from process_agent.config import Settings
from process_agent.viewer.approvals import Approve

if TYPE_CHECKING:
    from process_agent.core.ids import ThreadId
    from process_agent.core.requests import ModelWish
    from process_agent.rooms.join import JoinedRoom
    from process_agent.viewer.client import AgentClient

DEFAULT_WAIT = 30.0


@dataclass(frozen=True, slots=True)
class _Options:
    settings: Settings
    room: str | None
    agent_name: str | None
    thread: str | None
    message: str | None
    json: bool
    approve: Approve
    model: str | None
    name: str
    timeout: float | None
    wait: float
    local: bool
    data_dir: Path | None


def chat(
    room: Annotated[
        str | None, typer.Option("--room", metavar="NAME", help="The room. [default: $MESHAGENT_ROOM]")
    ] = None,
    agent_name: Annotated[
        str | None,
        typer.Option("--agent-name", metavar="NAME", help="The agent. [default: the first one in the room]"),
    ] = None,
    thread: Annotated[
        str | None,
        typer.Option(
            "--thread",
            metavar="THREAD",
            help="Go on with this thread: its path, the start of its id, its name or number.",
        ),
    ] = None,
    message: Annotated[
        str | None,
        typer.Option(
            "--message",
            metavar="TEXT",
            help="Run one turn, print the answer and exit; - reads the text from stdin.",
        ),
    ] = None,
    json: Annotated[
        bool, typer.Option("--json", help="With --message: print every agent message as a line of JSON.")
    ] = False,
    approve: Annotated[
        Approve | None,
        typer.Option(
            "--approve",
            metavar="HOW",
            help="Requests for approval: ask (here), wait (for other participants), never or always accept."
            " [default: ask; wait with --message]",
        ),
    ] = None,
    model: Annotated[
        str | None, typer.Option("--model", metavar="MODEL", help="Model of the turn or the new thread.")
    ] = None,
    name: Annotated[
        str | None,
        typer.Option("--name", metavar="NAME", help="Your name in the room. [default: the login name]"),
    ] = None,
    timeout: Annotated[
        float | None,
        typer.Option(
            "--timeout", metavar="SECONDS", min=0.1, help="Seconds until a --message turn is stopped."
        ),
    ] = None,
    wait: Annotated[
        float,
        typer.Option(
            "--wait", metavar="SECONDS", min=0.0, help="Seconds to wait for the agent to be in the room."
        ),
    ] = DEFAULT_WAIT,
    local: Local = False,
    data_dir: DataDir = None,
) -> None:
    """Talk to an agent: an interactive terminal, or with --message one turn.

    Exit codes with --message: 0 completed, 5 failed or refused, 6 out of time, 4 room trouble.
    """
    import asyncio

    from process_agent import config
    from process_agent.cli.who import login_name

    interactive = message is None
    options = _Options(
        settings=config.load(),
        room=room,
        agent_name=agent_name,
        thread=thread,
        message=_text(message),
        json=json,
        approve=approve or (Approve.ASK if interactive else Approve.WAIT),
        model=model,
        name=name or login_name(),
        timeout=timeout,
        wait=wait,
        local=local,
        data_dir=data_dir,
    )
    _check(options)
    _quiet_logs(interactive)
    try:
        asyncio.run(_chat(options))
    except BrokenPipeError:
        _reader_is_gone()


def _text(message: str | None) -> str | None:
    import sys

    if message != "-":
        return message
    return sys.stdin.read()


def _check(options: _Options) -> None:
    import sys

    from process_agent.errors import UsageError

    if options.message is not None:
        if not options.message.strip():
            raise UsageError("The message is empty.")
        if options.approve is Approve.ASK:
            raise UsageError(
                "--approve ask needs the interactive terminal.",
                fix="With --message use --approve wait, never or always.",
            )
        return
    for given, flag in ((options.json, "--json"), (options.timeout is not None, "--timeout")):
        if given:
            raise UsageError(f"{flag} goes with --message.")
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise UsageError(
            "process chat needs a terminal for its input and output.",
            fix="In scripts use --message TEXT, or --message - to read the text from stdin.",
        )


def _quiet_logs(interactive: bool) -> None:
    """Keep log lines of libraries off the screen; what matters is shown by ourselves."""
    import logging

    if interactive:
        logging.basicConfig(handlers=[logging.NullHandler()])
    else:
        logging.basicConfig(level=logging.ERROR, format="%(levelname)s %(name)s: %(message)s")


def _reader_is_gone() -> None:
    """Whoever read our output stopped: end without a complaint, also not while Python closes stdout."""
    import os
    import sys

    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    raise typer.Exit(1)


async def _chat(options: _Options) -> None:
    from process_agent.cli.local import join_target, while_joined
    from process_agent.rooms.credentials import JoinWish
    from process_agent.rooms.join import join_room
    from process_agent.viewer.client import AgentClient

    wish = JoinWish(options.room, options.name, "user", options.local)
    target = await join_target(options.settings, wish, data_dir=options.data_dir)
    async with join_room(target) as room, AgentClient(room.messaging, options.agent_name) as client:
        if options.message is None:
            await _interactive(options, room, client)
        else:
            await while_joined(room, _once(options, client))


async def _once(options: _Options, client: AgentClient) -> None:
    import sys

    from process_agent.core.content import TextPart
    from process_agent.viewer.once import Errand, run_once
    from process_agent.viewer.terminal.streamed import JsonSink, TextSink
    from process_agent.viewer.view import AS_IT_IS

    await client.find(options.wait)
    errand = Errand(
        content=(TextPart(options.message or ""),),
        thread=None if options.thread is None else await _thread_id(client, options.thread),
        wish=AS_IT_IS if options.model is None else await _wish(client, options.model),
        approve=options.approve,
        limit=options.timeout,
    )
    notes = sys.stderr if sys.stderr.isatty() else None
    await run_once(client, errand, (JsonSink if options.json else TextSink)(sys.stdout, notes))


async def _interactive(options: _Options, room: JoinedRoom, client: AgentClient) -> None:
    from process_agent.viewer.terminal.repl import Repl

    await client.find(options.wait)
    repl = Repl(
        client,
        me=room.messaging.me.name,
        room=room.name,
        approve=options.approve,
        history=options.settings.paths(options.data_dir).root / "chat-history",
    )
    if options.model is not None:
        repl.session.wish = await _wish(client, options.model)
    thread = await repl.run(thread=options.thread, closed=room.closed)
    if thread is not None:
        typer.echo(f"Go on with: process chat --room {room.name} --thread {thread}")


async def _thread_id(client: AgentClient, ref: str) -> ThreadId:
    from process_agent.core.ids import ThreadId
    from process_agent.viewer.terminal.commands import resolve_thread

    if "://" in ref:
        return ThreadId(ref)
    return resolve_thread(ref, await client.all_threads(1_000), see="`process threads`").path


async def _wish(client: AgentClient, model: str) -> ModelWish:
    from process_agent.viewer.terminal.commands import resolve_model

    return resolve_model(model, await client.models())
