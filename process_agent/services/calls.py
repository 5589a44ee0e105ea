"""Whether a call into a room is taken. Pure: the time and the rooms of the moment are arguments."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from urllib.parse import SplitResult, unquote, urlsplit

from process_agent.errors import AuthError
from process_agent.wire.participant_token import ParticipantToken, unverified
from process_agent.wire.room_calls import Call

_SCHEMES = {"http": "ws", "https": "wss"}
_PORTS = {"ws": 80, "wss": 443}


@dataclass(frozen=True, slots=True)
class CallRules:
    """Which calls are taken: for this agent, into rooms below `base_url`, so many at a time."""

    agent_name: str
    base_url: str
    max_rooms: int


@dataclass(frozen=True, slots=True)
class Verdict:
    """The HTTP status of the answer, what it says, and whether the room is to be joined."""

    status: int
    text: str
    joins: bool = False


STOPPING = Verdict(503, "The agent stops.")


def judge(call: Call, rules: CallRules, taken: Collection[str], now: float) -> Verdict:
    """Decide on a call whose signature is good. `taken` are the rooms where the agent is, or is about to be;
    `now` is in seconds since 1970.
    """
    if not is_room_at(call, rules.base_url):
        return Verdict(403, f"Calls are taken into rooms below {rules.base_url} only.")
    try:
        token = unverified(call.token, now)
    except AuthError as error:
        return Verdict(403, error.message)
    if (why := _why_not(token, call, rules)) is not None:
        return Verdict(403, why)
    if call.room in taken:
        return Verdict(200, f"{rules.agent_name} is in {call.room} already.")
    if len(taken) >= rules.max_rooms:
        return Verdict(503, f"{rules.agent_name} is in {rules.max_rooms} rooms, and takes no further one.")
    return Verdict(200, f"{rules.agent_name} joins {call.room}.", joins=True)


def _why_not(token: ParticipantToken, call: Call, rules: CallRules) -> str | None:
    if token.name != rules.agent_name:
        return f"The token is not for {rules.agent_name}, the agent that answers here."
    if token.role != "agent":
        return f"The token has the role {token.role}, not agent."
    if token.room not in (None, call.room):
        return "The token is for another room than the call."
    return None


def is_room_at(call: Call, base_url: str) -> bool:
    """Whether the call's address is that of its room below `base_url`, and nothing else."""
    try:
        asked, base = urlsplit(call.room_url), urlsplit(base_url)
        if asked.username is not None or asked.password is not None or asked.query or asked.fragment:
            return False
        path = f"{base.path.rstrip('/')}/rooms/{call.room}"
        return _origin(asked) == _origin(base) and unquote(asked.path) == path
    except ValueError:  # a port that is none
        return False


def _origin(url: SplitResult) -> tuple[str, str | None, int | None]:
    scheme = _SCHEMES.get(url.scheme, url.scheme)
    return scheme, url.hostname, url.port or _PORTS.get(scheme)
