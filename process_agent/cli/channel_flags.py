"""What the flags say about channels, and what settings and environment add to it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from process_agent.errors import UsageError

if TYPE_CHECKING:
    from process_agent.agent.channels import ChannelOptions
    from process_agent.channels.websocket.door import WebsocketAuth
    from process_agent.cli.checked import JoinOptions
    from process_agent.config import Settings
    from process_agent.rooms.credentials import Destination

WebsocketAuthFlag = Annotated[
    str,
    typer.Option(
        "--websocket-auth",
        metavar="MODE",
        help="Who may open a websocket: jwt (a participant token), iap (whom a proxy names), none (all).",
    ),
]
WebsocketOrigins = Annotated[
    list[str] | None,
    typer.Option(
        "--websocket-origin",
        metavar="URL",
        help="Pages of this site may open websockets, like https://studio.example. Repeatable.",
    ),
]
WebsocketOpen = Annotated[
    bool,
    typer.Option("--websocket-open", help="Let --websocket-auth none listen beyond this machine."),
]
ChannelEnv = Annotated[
    list[str] | None,
    typer.Option("--channel-env", metavar="NAME", help="Channel programs get this variable too. Repeatable."),
]
ChannelUsers = Annotated[
    bool,
    typer.Option("--channel-users", help="Channel programs may speak for people, who may approve."),
]

PROGRAM_ENVIRONMENT = (
    "PATH", "HOME", "LANG", "LC_ALL", "TZ", "TMPDIR", "SHELL", "USER", "TERM",
    "SSL_CERT_FILE", "SSL_CERT_DIR",
    "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy",
    "MESHAGENT_API_URL", "MESHAGENT_ROOM", "MESHAGENT_ROOM_URL", "MESHAGENT_TOKEN",
)  # fmt: skip
"""Variables a channel program gets when they are set; others by `--channel-env`. The token is here because
the published channel programs join the room with it; keys that sign tokens and models' keys are not.
"""

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_ORIGIN = re.compile(r"https?://[^/?#@\s]+")


@dataclass(frozen=True, slots=True)
class ChannelFlags:
    """The flags, checked."""

    websocket_auth: WebsocketAuth = "jwt"
    websocket_origins: tuple[str, ...] = ()
    websocket_open: bool = False
    env: tuple[str, ...] = ()
    users: bool = False


def channel_flags(
    auth: str, origins: list[str] | None, websocket_open: bool, env: list[str] | None, users: bool
) -> ChannelFlags:
    """Check the flags. Raises `UsageError`."""
    from process_agent.channels.websocket.door import AUTHS
    from process_agent.cli.checked import one_of

    for origin in origins or ():
        if not _ORIGIN.fullmatch(origin):
            raise UsageError(
                f"--websocket-origin {origin!r} is not a site.", fix="Write it like https://studio.example."
            )
    for name in env or ():
        if not _NAME.fullmatch(name):
            raise UsageError(
                f"--channel-env {name!r} is not the name of a variable.", fix="Leave =VALUE out."
            )
    return ChannelFlags(
        one_of("--websocket-auth", auth, AUTHS), tuple(origins or ()), websocket_open, tuple(env or ()), users
    )


def channel_options(options: JoinOptions, settings: Settings, agent_name: str) -> ChannelOptions:
    """Everything channels need. Raises `UsageError` for what cannot work, before anything is joined."""
    from process_agent.agent.channels import ChannelOptions, check_channels
    from process_agent.channels.specs import CommandSpec, MailSpec, WebsocketSpec
    from process_agent.channels.websocket.door import WebsocketOptions
    from process_agent.cli.joining import place_of
    from process_agent.config import environment_for_child
    from process_agent.rooms.credentials import LocalRoom

    flags = options.channel_flags
    check_used(options)
    if not _of_kinds(options, WebsocketSpec, CommandSpec, MailSpec):
        return ChannelOptions()
    place, _ = place_of(options, settings)
    environment = environment_for_child((*PROGRAM_ENVIRONMENT, *flags.env))
    keys = _keys(place, options, settings) if _of_kinds(options, WebsocketSpec) else ()
    found = ChannelOptions(
        room=place.room,
        websocket=WebsocketOptions(flags.websocket_auth, keys, flags.websocket_origins, flags.websocket_open),
        environment=environment | {"MESHAGENT_ROOM": place.room},
        program_users=flags.users,
        smtp=settings.smtp,
        hosted=not isinstance(place, LocalRoom),
    )
    check_channels(options.channels, agent_name, found)
    return found


def check_used(options: JoinOptions) -> None:
    """Raise `UsageError` for flags of channels that are not there, and for doors that the agent's own
    commands could use to approve what they want to do.
    """
    from process_agent.channels.specs import CommandSpec, WebsocketSpec

    flags = options.channel_flags
    has_websocket, has_program = (_of_kinds(options, kind) for kind in (WebsocketSpec, CommandSpec))
    for flag, given, used, channel in (
        ("--websocket-auth", flags.websocket_auth != "jwt", has_websocket, "websocket:PORT"),
        ("--websocket-origin", flags.websocket_origins, has_websocket, "websocket:PORT"),
        ("--websocket-open", flags.websocket_open, has_websocket, "websocket:PORT"),
        ("--channel-env", flags.env, has_program, "command:PROGRAM"),
        ("--channel-users", flags.users, has_program, "command:PROGRAM"),
    ):
        if given and not used:
            raise UsageError(f"{flag} has no effect without --channel {channel}.")
    guarded = options.approvals == "ask" and options.sandbox != "full-access"
    if has_websocket and flags.websocket_auth != "jwt" and options.network and guarded:
        raise UsageError(
            f"With --network and --websocket-auth {flags.websocket_auth}, sandboxed commands could open the "
            "agent's websocket as a person and approve themselves.",
            fix="Use tokens (--websocket-auth jwt), leave --network out, or add --approvals deny.",
        )


def websocket_lines(options: JoinOptions) -> list[tuple[str, str]]:
    """What the start summary says about websockets: the address, and who can come in."""
    from process_agent.channels.specs import WebsocketSpec
    from process_agent.channels.websocket.door import described

    auth = options.channel_flags.websocket_auth
    specs = [spec for spec in options.channels if isinstance(spec, WebsocketSpec)]
    return [("websocket", described(auth, spec.host, spec.port)) for spec in specs]


def _of_kinds(options: JoinOptions, *kinds: type) -> bool:
    return any(isinstance(spec, kinds) for spec in options.channels)


def _keys(place: Destination, options: JoinOptions, settings: Settings) -> tuple[str, ...]:
    """The keys that sign tokens for us: `MESHAGENT_SECRET`, and in the local room its own."""
    from process_agent.room_server.keys import signing_key
    from process_agent.room_server.state import running
    from process_agent.rooms.credentials import LocalRoom
    from process_agent.rooms.join import JoinTarget

    paths = settings.paths(options.data_dir)
    state = running(paths)
    local = isinstance(place, LocalRoom) or (
        isinstance(place, JoinTarget) and state is not None and place.base_url == state.url
    )
    keys = (settings.secret,) if settings.secret else ()
    return (*keys, signing_key(paths.signing_key)) if local else keys
