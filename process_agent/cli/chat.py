"""`process chat`: talk to an agent in a room, interactively or one turn for scripts."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from process_agent.cli.options import DataDir, Local, ProjectId
from process_agent.cli.talking import (
    DEFAULT_WAIT,
    Attach,
    Effort,
    HowToApprove,
    Message,
    OutputSchema,
    Person,
    Talk,
    Thread,
    Timeout,
    TurnJson,
    converse,
    run_to_end,
    talk_of,
)

if TYPE_CHECKING:
    from process_agent.rooms.join import JoinTarget


WORTH_SAYING = 1.0
"""Seconds of waiting for an agent from which on it is said."""


def chat(
    room: Annotated[
        str | None, typer.Option("--room", metavar="NAME", help="The room. [default: $MESHAGENT_ROOM]")
    ] = None,
    agent_name: Annotated[
        str | None,
        typer.Option("--agent-name", metavar="NAME", help="The agent. [default: the first one in the room]"),
    ] = None,
    thread: Thread = None,
    message: Message = None,
    attach: Attach = None,
    json: TurnJson = False,
    approve: HowToApprove = None,
    model: Annotated[
        str | None, typer.Option("--model", metavar="MODEL", help="Model of the turn or the new thread.")
    ] = None,
    name: Person = None,
    timeout: Timeout = None,
    effort: Effort = None,
    output_schema: OutputSchema = None,
    wait: Annotated[
        float,
        typer.Option(
            "--wait", metavar="SECONDS", min=0.0, help="Seconds to wait for the agent to be in the room."
        ),
    ] = DEFAULT_WAIT,
    project_id: ProjectId = None,
    local: Local = False,
    data_dir: DataDir = None,
) -> None:
    """Talk to an agent: an interactive terminal, or with --message one turn.

    Exit codes with --message: 0 completed, 5 failed or refused, 6 out of time, 4 room trouble.
    """
    from process_agent import config
    from process_agent.cli.who import login_name
    from process_agent.rooms.credentials import JoinWish

    settings = config.load()
    talk = talk_of(
        message,
        thread=thread,
        json=json,
        approve=approve,
        model=model,
        timeout=timeout,
        history=settings.paths(data_dir).root / "chat-history",
        effort=effort,
        output_schema=output_schema,
        attach=attach,
        wait=wait,
    )
    wish = JoinWish(room, name or login_name(), "user", local, project_id)

    async def work() -> None:
        from process_agent.cli.local import join_target

        target = await join_target(settings, wish, data_dir=data_dir)
        await _chat(talk, target, agent_name, _how_to_join(target.room, agent_name, local, data_dir))

    run_to_end(work, interactive=talk.message is None)


def _how_to_join(room: str, agent_name: str | None, local: bool, data_dir: Path | None) -> str:
    """The command that brings an agent into the room."""
    import shlex

    place = [*(["--local"] if local else []), *([] if data_dir is None else ["--data-dir", str(data_dir)])]
    words = ["process", "join", "--room", room, *place, "--agent-name", agent_name or "codex-agent"]
    return shlex.join([*words, "--channel", "chat", "--backend", "codex"])


async def _chat(talk: Talk, target: JoinTarget, agent_name: str | None, how_to_join: str) -> None:
    from datetime import UTC, datetime
    from uuid import uuid4

    from process_agent.cli.local import while_joined
    from process_agent.rooms.join import join_room
    from process_agent.threads.images import ImageTable
    from process_agent.viewer.client import AgentClient
    from process_agent.viewer.terminal.plain import printable

    async with join_room(target) as room, AgentClient(room.messaging, agent_name) as client:
        me = room.messaging.me.name or ""
        if talk.wait >= WORTH_SAYING and (waiting := client.waiting_for(talk.wait)) is not None:
            typer.echo(printable(f"{waiting} Start one in another terminal:\n  {how_to_join}"), err=True)
        conversation = converse(
            talk,
            client,
            me=me,
            room=room.name,
            closed=room.closed,
            files=room.files,
            images=ImageTable(
                room.datasets, me, clock=lambda: datetime.now(UTC), new_id=lambda: str(uuid4())
            ),
        )
        if talk.message is not None:  # the interactive terminal sees to the end of the room itself
            await while_joined(room, conversation)
        elif (thread := await conversation) is not None:
            typer.echo(f"Go on with: process chat --room {room.name} --thread {thread}")
