"""`process token`: a participant token of the local room."""

from __future__ import annotations

import re
from typing import Annotated

import typer

from process_agent.cli.options import DataDir

DEFAULT_TTL = "30d"

_UNITS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}


Room = Annotated[str, typer.Option("--room", metavar="NAME", help="Room that the token opens.")]
Identity = Annotated[str, typer.Option("--identity", metavar="NAME", help="Name of the participant.")]
Role = Annotated[str, typer.Option("--role", metavar="ROLE", help="user, agent or tool.")]
Ttl = Annotated[
    str, typer.Option("--ttl", metavar="TIME", help="How long it is good for, like 90s, 15m, 12h or 30d.")
]
Agents = Annotated[
    list[str] | None,
    typer.Option("--agent", metavar="NAME", help="Opens this agent's websocket channel too. Repeatable."),
]


def token(
    room: Room,
    identity: Identity,
    role: Role = "user",
    ttl: Ttl = DEFAULT_TTL,
    agent: Agents = None,
    data_dir: DataDir = None,
) -> None:
    """Print a token of the local room, and nothing else. The room's server need not run."""
    import time

    from process_agent import config
    from process_agent.cli.local import check_room_name
    from process_agent.errors import UsageError
    from process_agent.room_server.keys import signing_key
    from process_agent.wire import participant_token
    from process_agent.wire.participant_token import ParticipantToken

    if role not in participant_token.ROLES:
        raise UsageError(
            f"There is no role {role!r}.", fix=f"Roles are {', '.join(participant_token.ROLES)}."
        )
    check_room_name(room)
    if not identity.strip():
        raise UsageError("The identity is empty.")
    expires = int(time.time()) + seconds(ttl)
    api = participant_token.default_api(role)
    grant = ParticipantToken(identity, room, role, api, expires, agents=tuple(agent or ()))
    key = signing_key(config.load().paths(data_dir).signing_key)
    typer.echo(participant_token.encode(grant, key))


def seconds(ttl: str) -> int:
    """The seconds of a duration like `90s`, `15m`, `12h` or `30d`. Raises `UsageError`."""
    from process_agent.errors import UsageError

    found = re.fullmatch(r"([1-9][0-9]{0,8})([smhd]?)", ttl)
    if found is None:
        raise UsageError(f"--ttl {ttl!r} is not a duration.", fix="Give it like 90s, 15m, 12h or 30d.")
    return int(found[1]) * _UNITS[found[2]]
