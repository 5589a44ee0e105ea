"""The toolkit channel: a tool in the room that runs a turn and returns its text (protocol section 9)."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass

from process_agent.channels.errands import Assignment, Errands, Outcome
from process_agent.channels.paths import thread_id_of
from process_agent.core.channel import Ask
from process_agent.core.content import Json, TextPart
from process_agent.core.events import EndReason, ThreadEvent
from process_agent.core.ids import Clock, IdSource, ParticipantId, ThreadId
from process_agent.core.participants import named
from process_agent.core.replies import Reply
from process_agent.core.requests import ModelWish, Request, TurnOptions
from process_agent.core.room_ports import HostedTool, HostedToolkit, ToolCaller, Toolkits
from process_agent.errors import ToolFailedError, UsageError

MAX_TOOL_NAME = 64
"""Characters of the tool's name; models take no longer ones."""

_UNFIT = re.compile(r"[^A-Za-z0-9_-]+")
_OPTIONAL = {
    "path": "the thread to go on with, or a name for a new one; without it, each call makes a new thread",
    "thread_id": "another name for path",
    "model": "the model of this turn, like NAME or BACKEND/NAME",
    "instructions": "instructions for this turn only",
}


@dataclass(frozen=True, slots=True)
class ToolkitProfile:
    """The toolkit's name, who answers, and the folder of its threads, like `dataset://agents/bot/threads`.
    Calls without a path go to `thread`, or each to a new one.
    """

    toolkit: str
    agent_name: str
    directory: str
    thread: ThreadId | None = None


class ToolkitChannel:
    """See `core.channel.Channel`. Nobody can be asked during a call: turns are not attended."""

    def __init__(
        self, toolkits: Toolkits, profile: ToolkitProfile, *, new_id: IdSource, clock: Clock
    ) -> None:
        self._toolkits = toolkits
        self._profile = profile
        self._new_id = new_id
        self._clock = clock
        self._errands = Errands(self.name, _refuse_early, new_id)
        self._withdraw: Callable[[], Awaitable[None]] | None = None

    @property
    def name(self) -> str:
        """How requests name this channel."""
        return f"toolkit:{self._profile.toolkit}"

    async def start(self, ask: Ask) -> None:
        """Register the toolkit. Raises `RoomRequestError` when the room refuses it."""
        self._errands = Errands(self.name, ask, self._new_id)
        self._withdraw = await self._toolkits.host(self._toolkit())

    def open_view(self, participant: ParticipantId, thread_id: ThreadId) -> None:
        """See `Channel`."""

    def close_view(self, participant: ParticipantId, thread_id: ThreadId) -> None:
        """See `Channel`."""
        self._errands.close_view(participant)

    def show(self, event: ThreadEvent, to: Sequence[ParticipantId]) -> None:
        """See `Channel`."""
        self._errands.show(event, to)

    def answer(self, to: ParticipantId, reply: Reply, thread_id: ThreadId | None = None) -> None:
        """See `Channel`."""
        self._errands.answer(to, reply)

    async def ready(self, participant: ParticipantId, thread_id: ThreadId) -> None:
        """See `Channel`. Nothing is ever left to send."""

    async def close(self) -> None:
        """Withdraw the toolkit; whoever still waits hears that the agent stopped."""
        self._errands.close()
        await asyncio.sleep(0)  # calls that end now answer before their tool is gone
        if self._withdraw is not None:
            await self._withdraw()

    def _toolkit(self) -> HostedToolkit:
        name, agent = self._profile.toolkit, self._profile.agent_name
        tool = HostedTool(
            tool_name(name),
            f"Run {name} Task",
            f"sends a prompt to {agent} and returns the text of its answer",
            _schema(),
            self._run,
        )
        return HostedToolkit(name, name, f"gives tasks to {agent}", (tool,))

    async def _run(self, caller: ToolCaller, arguments: Mapping[str, Json]) -> str:
        running = self._errands.start(self._assignment(caller, arguments))
        try:
            return _answer(await running.outcome())
        except asyncio.CancelledError:
            running.abandon()
            raise

    def _assignment(self, caller: ToolCaller, arguments: Mapping[str, Json]) -> Assignment:
        unknown = sorted(arguments.keys() - {"prompt", *_OPTIONAL})
        if unknown:
            raise ToolFailedError(f"There is no argument {unknown[0]!r}.", fix=f"There is prompt, {_NAMES}.")
        prompt, path = _text(arguments, "prompt"), _text(arguments, "path")
        other = _text(arguments, "thread_id")
        if prompt is None:
            raise ToolFailedError("The prompt is missing.")
        if path and other and path != other:
            raise ToolFailedError("path and thread_id name different threads.", fix="Give one of them.")
        path = path or other
        thread_id = self._profile.thread
        try:
            if path:
                thread_id = thread_id_of(path, self._profile.directory, self._clock())
        except UsageError as error:
            raise ToolFailedError(error.message, fix=error.fix) from error
        who = caller.on_behalf_of or caller.participant
        return Assignment(
            (TextPart(prompt),),
            thread_id,
            None if who is None else who.name,
            ModelWish(model=_text(arguments, "model")),
            TurnOptions(instructions=_text(arguments, "instructions"), attended=False),
            # On whose behalf it calls is the caller's word; who calls is the room's.
            acts_for=None if caller.participant is None else named(caller.participant.name),
        )


def tool_name(toolkit: str) -> str:
    """The name of the tool of a toolkit, with characters that models and clients take."""
    room = MAX_TOOL_NAME - len("run__task")
    return f"run_{_UNFIT.sub('_', toolkit)[:room]}_task"


def _schema() -> dict[str, Json]:
    optional: dict[str, Json] = {
        name: {"anyOf": [{"type": "string"}, {"type": "null"}], "description": description}
        for name, description in _OPTIONAL.items()
    }
    prompt: Json = {"type": "string", "description": "what the agent is to do"}
    return {
        "type": "object",
        "additionalProperties": False,
        "required": ["prompt"],
        "properties": {"prompt": prompt, **optional},
    }


def _answer(outcome: Outcome) -> str:
    """The text of a turn; when it wrote none, the addresses of the files it showed."""
    if outcome.ended is EndReason.COMPLETED:
        text = outcome.text or "\n".join(outcome.files)
        return f"{text}\n\n[The answer is longer; the rest is left out.]" if outcome.truncated else text
    if outcome.ended is EndReason.INTERRUPTED:
        raise ToolFailedError("The turn was interrupted.")
    raise ToolFailedError("The turn failed." if outcome.error is None else outcome.error.message)


def _text(arguments: Mapping[str, Json], name: str) -> str | None:
    value = arguments.get(name)
    if value is None or (isinstance(value, str) and not value.strip()):
        return None
    if not isinstance(value, str):
        raise ToolFailedError(f"{name} must be text.")
    return value


_NAMES = ", ".join(_OPTIONAL)


def _refuse_early(request: Request) -> None:
    raise RuntimeError(f"{type(request).__name__} before the channel was started")
