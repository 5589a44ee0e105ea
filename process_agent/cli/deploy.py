"""`process deploy`: the agent of these flags as a service, which runs without this terminal."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from process_agent.cli import spec as spec_command
from process_agent.cli.agent_options import Port
from process_agent.cli.flag_sets import with_flags
from process_agent.cli.options import DataDir, Local, ProjectId
from process_agent.cli.service_place import Project, Room

WAIT_SECONDS = 180.0
"""How long `--wait` waits unless it is told."""

WorkingDir = Annotated[
    str | None,
    typer.Option(
        "--working-dir",
        metavar="FOLDER",
        help="Folder the agent works in: of this machine in the local room [default: this one], else of the "
        "container [default: /data, the room's storage].",
    ),
]
Env = Annotated[
    list[str] | None,
    typer.Option(
        "--env",
        metavar="NAME[=VALUE]",
        help="Set this variable; hosted, everybody can read it. In the local room NAME alone gives the agent "
        "the variable of this environment. Repeatable.",
    ),
]
Diff = Annotated[bool, typer.Option("--diff", help="Print what changes, as a diff of the document.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Change nothing: say what would be done.")]
Wait = Annotated[bool, typer.Option("--wait", help="Wait until the agent is in its room; show its log.")]
WaitTimeout = Annotated[
    float, typer.Option("--wait-timeout", metavar="SECONDS", min=1, help="How long --wait waits.")
]
Rollback = Annotated[
    bool,
    typer.Option("--rollback", help="Go back to what was deployed before; takes no flags of the agent."),
]
OF_A_ROLLBACK = frozenset(
    (
        *("room", "project", "project_id", "local", "data_dir", "port", "service_name", "agent_name"),
        *("diff", "dry_run", "wait", "wait_timeout", "rollback", "json", "profile"),
    )
)
"""What may be typed beside `--rollback`."""
Json = Annotated[bool, typer.Option("--json", help="Print one line of JSON.")]


def _flags(
    room: Room = None,
    project: Project = False,
    project_id: ProjectId = None,
    local: Local = False,
    data_dir: DataDir = None,
    port: Port = None,
    working_dir: WorkingDir = None,
    env: Env = None,
    diff: Diff = False,
    dry_run: DryRun = False,
    wait: Wait = False,
    wait_timeout: WaitTimeout = WAIT_SECONDS,
    rollback: Rollback = False,
    json: Json = False,
) -> None:
    """The flags that `process spec` does not have, or that mean something else here."""


@with_flags(spec_command.spec, _flags)
def deploy(context: typer.Context, **_given: Any) -> None:
    """Make the agent of these flags of `process join` a service: a room service of MeshAgent, or of the local
    room when there are no credentials, whose server starts it, watches it and starts it anew.

    The service is found by its name. What is there is updated; whether it is enabled, and what was changed by
    hand, stays. No key gets into the document.
    """
    from process_agent import config
    from process_agent.cli.service_place import is_local, wanted_place

    settings, wanted = config.load(), wanted_place(context)
    if context.params["rollback"]:
        check_rollback(context)
    if is_local(wanted, settings):
        from process_agent.cli.deploy_local import deploy_local

        deploy_local(context, wanted, settings)
    else:
        from process_agent.cli.deploy_hosted import deploy_hosted

        deploy_hosted(context, wanted, settings)


def check_rollback(context: typer.Context) -> None:
    """Raise `UsageError` for a flag that a rollback would not heed: the document of before has its own."""
    from process_agent.cli.flag_sets import typed
    from process_agent.errors import UsageError

    for parameter in context.command.params:
        if (name := parameter.name or "") not in OF_A_ROLLBACK and typed(context, name):
            raise UsageError(
                f"--rollback does not heed {max(parameter.opts, key=len)}: it has the flags of before.",
                fix="Leave one of them out.",
            )
