"""What `--channel` can say: `chat`, `queue:NAME`, `toolkit:NAME`, `mail:ADDRESS`, `websocket:PORT`,
`command:PROGRAM`.

Schemes and mail addresses compare without case, so that the same channel given twice is one.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from ipaddress import ip_address
from urllib.parse import parse_qsl, urlsplit

from process_agent.errors import UsageError

MAX_NAME = 200
"""Characters of a queue's, toolkit's or program's name."""

FORMS = "chat, queue:NAME, toolkit:NAME, mail:ADDRESS, websocket:PORT or command:PROGRAM"


@dataclass(frozen=True, slots=True)
class ChatSpec:
    """Room messaging."""

    text: str = "chat"


@dataclass(frozen=True, slots=True)
class QueueSpec:
    """Items of a room queue."""

    name: str

    @property
    def text(self) -> str:
        """How the channel is written."""
        return f"queue:{self.name}"


@dataclass(frozen=True, slots=True)
class ToolkitSpec:
    """A toolkit in the room, with one tool that runs a turn."""

    name: str

    @property
    def text(self) -> str:
        """How the channel is written."""
        return f"toolkit:{self.name}"


@dataclass(frozen=True, slots=True)
class MailSpec:
    """A mailbox: the room queue of its address, and SMTP for answers."""

    address: str
    reply_all: bool = False

    @property
    def text(self) -> str:
        """How the channel is written."""
        return f"mail:{self.address}"


@dataclass(frozen=True, slots=True)
class WebsocketSpec:
    """A server of our own; loopback unless a host is given."""

    port: int
    host: str = "127.0.0.1"

    @property
    def text(self) -> str:
        """How the channel is written."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"websocket://{host}:{self.port}"


@dataclass(frozen=True, slots=True)
class CommandSpec:
    """A program of the user's that is a channel."""

    argv: tuple[str, ...]

    @property
    def text(self) -> str:
        """How the channel is written."""
        return f"command:{json.dumps(self.argv)}"


@dataclass(frozen=True, slots=True)
class MemorySpec:
    """The terminal of `process run`; nobody can name it."""

    text: str = "memory"


type ChannelSpec = MemorySpec | ChatSpec | QueueSpec | ToolkitSpec | MailSpec | WebsocketSpec | CommandSpec


def parse_channels(texts: Iterable[str]) -> tuple[ChannelSpec, ...]:
    """The channels of an agent, in order, each once. Raises `UsageError`, also when there is none."""
    found = tuple(dict.fromkeys(parse_channel(text) for text in texts))
    if not found:
        raise UsageError("An agent needs a channel.", fix=f"Add --channel chat; there is {FORMS}.")
    _check_apart(found)
    return found


def _check_apart(specs: tuple[ChannelSpec, ...]) -> None:
    """No two channels have one name, or take the items of one queue."""
    taken: set[str] = set()
    for spec in specs:
        uses = [spec.text]
        if isinstance(spec, QueueSpec | MailSpec):
            uses.append(f"the queue {spec.name if isinstance(spec, QueueSpec) else spec.address}")
        for use in uses:
            if use in taken:
                raise UsageError(f"Two channels want {use}.", fix="Name it once.")
            taken.add(use)


def parse_channel(text: str) -> ChannelSpec:
    """One `--channel`. Raises `UsageError` with what is wrong and how to write it."""
    text = text.strip()
    scheme, colon, rest = text.partition(":")
    parser = _PARSERS.get(scheme.lower())
    if parser is None or bool(colon) != (scheme.lower() != "chat"):
        raise UsageError(f"There is no channel {text!r}.", fix=f"Write {FORMS}.")
    return parser(rest)


def _chat(_: str) -> ChannelSpec:
    return ChatSpec()


def _queue(rest: str) -> ChannelSpec:
    return QueueSpec(_name(rest, "queue:NAME"))


def _toolkit(rest: str) -> ChannelSpec:
    return ToolkitSpec(_name(rest, "toolkit:NAME"))


def _name(rest: str, form: str) -> str:
    name = rest.removeprefix("//").strip()
    if not name or len(name) > MAX_NAME or not name.isprintable():
        raise UsageError(f"{form} needs a name of 1 to {MAX_NAME} printable characters.")
    return name


def _mail(rest: str) -> ChannelSpec:
    address, _, query = rest.removeprefix("//").partition("?")
    address = address.strip().lower()
    local, at, domain = address.rpartition("@")
    plain = address.isprintable() and not any(c in address for c in ' "<>(),;:\\')
    if not (local and at and domain and plain and "@" not in local and len(address) <= MAX_NAME):
        raise UsageError(f"{address!r} is not a mail address.", fix="Write it like mail:agent@example.com.")
    options = dict(parse_qsl(query, keep_blank_values=True))
    reply_all = options.pop("reply-all", "false").lower()
    if options or reply_all not in ("true", "false"):
        raise UsageError(
            f"mail: does not know {query!r}.", fix="The only option is ?reply-all=true or ?reply-all=false."
        )
    return MailSpec(address, reply_all == "true")


def _websocket(rest: str) -> ChannelSpec:
    parts = urlsplit(rest if rest.startswith("//") else f"//127.0.0.1:{rest}")
    fix = "Write it like websocket:8765, or websocket://HOST:PORT to listen on another address."
    try:
        host, port = parts.hostname, parts.port
        if host is not None and host != "localhost":
            ip_address(host)
    except ValueError:
        raise UsageError(f"websocket:{rest} has no usable address.", fix=fix) from None
    if not host or not port or parts.path or parts.query or parts.fragment or parts.username is not None:
        raise UsageError(f"websocket:{rest} needs a port from 1 to 65535 and nothing after it.", fix=fix)
    return WebsocketSpec(port, "127.0.0.1" if host == "localhost" else host)


def _command(rest: str) -> ChannelSpec:
    fix = 'Write it like command:my-channel or command:["my-channel", "--flag"].'
    argv: object = [rest.strip()]
    if rest.lstrip().startswith("["):
        try:
            argv = json.loads(rest)
        except ValueError:
            raise UsageError("command: is followed by JSON that cannot be read.", fix=fix) from None
    if not isinstance(argv, list) or not argv or not all(isinstance(arg, str) for arg in argv):
        raise UsageError("command: takes a program, or a JSON list of texts.", fix=fix)
    if not argv[0] or any("\0" in arg for arg in argv):
        raise UsageError("command: names no program.", fix=fix)
    return CommandSpec(tuple(argv))


_PARSERS: dict[str, Callable[[str], ChannelSpec]] = {
    "chat": _chat,
    "queue": _queue,
    "toolkit": _toolkit,
    "mail": _mail,
    "websocket": _websocket,
    "command": _command,
}
