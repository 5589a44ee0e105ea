"""Who may open a websocket to the agent, and as whom. Pure: the time is an argument."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from process_agent.errors import AuthError, UsageError
from process_agent.wire import participant_token, web_names

type WebsocketAuth = Literal["jwt", "iap", "none"]

AUTHS: tuple[WebsocketAuth, ...] = ("jwt", "iap", "none")

PROTOCOL = "meshagent-msgpack"
"""Subprotocol of clients that name one."""

TOKEN_PROTOCOLS = ("meshagent-agent.", "meshagent-token.", "bearer.")
"""Subprotocols that carry a token, for pages: a browser cannot set the Authorization header."""

USER_HEADER = "x-meshagent-user"
"""Set by the identity-aware proxy in front of us."""

DECISIVE_HEADERS = ("host", "origin", "authorization", USER_HEADER)
"""Headers that decide who comes in. Two of one kind could mean one thing to a proxy and another to us."""

ANYBODY = "websocket-user"
"""Name of everybody where nobody says who they are, as in the published channel."""

MAX_NAME = 200
"""Characters of a participant's name."""


@dataclass(frozen=True, slots=True)
class WebsocketOptions:
    """What the operator says about websockets.

    `keys` check tokens. `origins` are sites whose pages may connect, like `https://studio.example`.
    `open_to_network` lets `auth` "none" listen beyond loopback.
    """

    auth: WebsocketAuth = "jwt"
    keys: tuple[str, ...] = field(default=(), repr=False)
    origins: tuple[str, ...] = ()
    open_to_network: bool = False


@dataclass(frozen=True, slots=True)
class Visitor:
    """Somebody who may come in."""

    name: str
    role: str


@dataclass(frozen=True, slots=True)
class Refused:
    """Somebody who may not: an HTTP status and what to say."""

    status: int
    text: str


@dataclass(frozen=True, slots=True)
class Knock:
    """A request to open a websocket. `headers` have lower-case names."""

    headers: Mapping[str, str]
    query_token: str | None = None
    protocols: Sequence[str] = ()


class Door:
    """The door of one websocket server."""

    def __init__(self, options: WebsocketOptions, host: str, agent_name: str, room: str | None) -> None:
        """Raises `UsageError` for options that would let the wrong people in, or nobody."""
        if options.auth == "jwt" and not options.keys:
            raise UsageError(
                "The websocket channel has no key to check tokens with.",
                fix="Set MESHAGENT_SECRET, or choose --websocket-auth iap or none.",
            )
        if options.auth == "none" and not options.open_to_network and not web_names.is_loopback(host):
            raise UsageError(
                f"With --websocket-auth none everybody who reaches {host} could command the agent.",
                fix="Listen on 127.0.0.1, use tokens, or add --websocket-open if that is meant.",
            )
        self._options = options
        self._host = host
        self._agent_name = agent_name
        self._room = room

    def admit(self, knock: Knock, now: float) -> Visitor | Refused:
        """Decide about one request. `now` is in seconds since 1970."""
        try:
            web_names.check_host(knock.headers.get("host"), self._host)
            self._check_origin(knock.headers.get("origin"), knock.headers.get("host"))
        except AuthError as error:
            return Refused(403, error.message)
        match self._options.auth:
            case "jwt":
                return self._bearer(knock, now)
            case "iap":
                name = knock.headers.get(USER_HEADER, "").strip()
                if not name or len(name) > MAX_NAME or not name.isprintable():
                    return Refused(401, "The proxy names no user in X-MESHAGENT-USER.")
                return Visitor(name, "user")
            case "none":
                return Visitor(ANYBODY, "user")

    def _check_origin(self, origin: str | None, host: str | None) -> None:
        """Refuse pages that should not be here. A token is proof enough, except on loopback, which other
        people's pages have no business with. Raises `AuthError`.
        """
        if origin is None or origin in self._options.origins:
            return
        if self._options.auth == "jwt" and (
            not web_names.is_loopback(self._host) or web_names.is_loopback_page(origin)
        ):
            return
        web_names.check_origin(origin, host, required=False)

    def _bearer(self, knock: Knock, now: float) -> Visitor | Refused:
        text = _token(knock)
        if text is None:
            return Refused(401, "There is no participant token.")
        token = None
        for key in self._options.keys:
            try:
                token = participant_token.decode(text, key, now)
                break
            except AuthError as error:
                refused = error.message
        if token is None:
            return Refused(401, refused)
        if self._agent_name not in token.agents:
            return Refused(403, f"The token has no agent grant for {self._agent_name}.")
        if token.room is not None and self._room is not None and token.room != self._room:
            return Refused(403, "The token is for another room.")
        return Visitor(token.name, token.role)


def choose_protocol(asked: Sequence[str]) -> str | None:
    """The subprotocol to answer with: the first one asked for that we know."""
    for protocol in asked:
        if protocol == PROTOCOL or protocol.lower().startswith(TOKEN_PROTOCOLS):
            return protocol
    return None


def described(auth: WebsocketAuth, host: str, port: int) -> str:
    """One line for the operator: where it listens, and who can come in."""
    match auth:
        case "jwt":
            who = "with a participant token that has an agent grant"
        case "iap":
            who = "as whoever the proxy in front names: nobody else may reach this port"
        case "none":
            where = "on this machine" if web_names.is_loopback(host) else "who can reach it"
            who = f"without a token: for everybody {where}"
    return f"ws://{web_names.reachable(host)}:{port}/messages, {who}"


def _token(knock: Knock) -> str | None:
    """The token of a request: from the header, else the query, else a subprotocol."""
    authorization = knock.headers.get("authorization")
    if authorization is not None:
        scheme, _, token = authorization.strip().partition(" ")
        return token.strip() or None if scheme.lower() == "bearer" else None
    if knock.query_token and knock.query_token.strip():
        return knock.query_token.strip()
    for protocol in knock.protocols:
        for prefix in TOKEN_PROTOCOLS:
            if protocol[: len(prefix)].lower() == prefix and len(protocol) > len(prefix):
                return protocol[len(prefix) :]
    return None
