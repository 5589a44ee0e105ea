"""The port every backend implements."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Literal, Protocol

from process_agent.core.content import ContentPart, ErrorInfo, Json, LogLine, ToolResult
from process_agent.core.decisions import NO_ANSWERS, Answers, Decision
from process_agent.core.events import BackendEvent, Phase, ToolRef
from process_agent.core.ids import AskId, ItemId, ThreadId, TurnId
from process_agent.core.mcp import McpServer
from process_agent.core.models import KnownModels, ModelChoice, ProviderModels
from process_agent.core.providers import ModelProvider
from process_agent.core.requests import ClientTool, Secret
from process_agent.core.tools import Toolbox
from process_agent.core.usage import UNMETERED, Meter

type SandboxMode = Literal["read-only", "workspace-write", "full-access"]
type ApprovalMode = Literal["ask", "deny", "auto"]


# --- What a thread remembers, as a backend gets it --------------------------------------------
#
# `turn_id` is the turn in which it happened, `item_id` its item: where it comes from, not what it is.


@dataclass(frozen=True, slots=True)
class UserMessage:
    """What a participant said; or, with an `item_id`, the summary that a compaction left."""

    content: tuple[ContentPart, ...]
    sender_name: str | None
    turn_id: TurnId | None = field(default=None, compare=False)
    item_id: ItemId | None = field(default=None, compare=False)
    at: datetime | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class AgentMessage:
    """What the agent answered."""

    text: str
    phase: Phase = None
    turn_id: TurnId | None = field(default=None, compare=False)
    item_id: ItemId | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A finished tool call with its output."""

    ref: ToolRef
    arguments: Mapping[str, object]
    log: tuple[LogLine, ...] = ()
    result: ToolResult | None = None
    error: ErrorInfo | None = None
    turn_id: TurnId | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class MadeImages:
    """Images that a model made: a line that says so, and the images."""

    content: tuple[ContentPart, ...]
    turn_id: TurnId | None = field(default=None, compare=False)
    item_id: ItemId | None = field(default=None, compare=False)


type HistoryItem = UserMessage | AgentMessage | ToolCall | MadeImages

type KeptState = Mapping[str, Json]
"""What a backend keeps with a thread of the room."""


class ThreadState(Protocol):
    """Where a backend keeps its own state with one thread of the room: a few JSON members, like the name
    under which it remembers the conversation itself.

    It lies in the thread's own rows and goes with them: copied, cleared or deleted, read by another agent on
    another machine. Participants are not shown it, but the room may let them read and write the table: it
    holds no secrets, and what it says is checked before it is believed.
    """

    @property
    def durable(self) -> bool:
        """Whether it outlives the agent; threads that are kept nowhere do not."""
        ...

    @property
    def kept(self) -> KeptState | None:
        """What was kept last, None when nothing was or the thread was cleared since."""
        ...

    def keep(self, state: KeptState) -> None:
        """Keep this from now on, beside the events of the running turn; returns at once."""
        ...

    async def flush(self) -> None:
        """Return when what was kept is durable. Raises `RoomError` when it cannot be."""
        ...


# --- The port ----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ModelEndpoint:
    """A further provider: an address with OpenAI's Responses API. Threads use it by choosing one of its
    models, which are those named with its name as their provider.
    """

    name: str
    base_url: str
    api_key: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class BackendConfig:
    """What a backend gets from the command line and the environment, as plain values.

    `models` are the models the operator named for this backend, the first being the default; empty means
    the backend's own default. `environment` is the only environment a backend may use.
    """

    agent_name: str
    working_dir: Path
    data_dir: Path
    models: tuple[ModelChoice, ...] = ()
    beside_defaults: bool = False
    """Whether the backend's own models are offered beside `models`: the operator named it as well."""
    providers: tuple[ModelProvider, ...] = field(default=(), repr=False)
    """Who offers models over HTTP, with keys."""
    provider: Literal["default", "scripted", "meshagent"] = "default"
    base_url: str | None = None
    api_key: str | None = field(default=None, repr=False)
    endpoints: tuple[ModelEndpoint, ...] = ()
    sandbox: SandboxMode = "workspace-write"
    approvals: ApprovalMode = "ask"
    network: bool = False
    effort: str | None = None
    """How much models are to reason where neither thread nor turn says; None leaves it to the backend."""
    web_search: bool = False
    """Whether models search the web with the tool of their provider."""
    image_model: str | None = None
    """The model with which the tool of a provider makes images; None for no such tool."""
    skill_dirs: tuple[Path, ...] = ()
    """Folders of agent skills beside those that the backend finds by itself."""
    home: Path | None = None
    """Folder where the program behind the backend finds configuration and login, in place of the user's."""
    facts: KnownModels = field(default_factory=dict)
    """What is known of models, like their prices."""
    environment: Mapping[str, str] = field(default_factory=dict)
    keeps_history: bool = False
    """Nobody else keeps what was said: whatever the backend recorded of a thread stays."""


@dataclass(frozen=True, slots=True)
class BackendSummary:
    """Lines of the start summary: label and text, in order, like ("codex", "0.163.0, …/bin/codex").

    `caution` is a sentence for everybody who talks to the agent: what its turns may do that one would not
    expect. None when there is nothing of the kind.
    """

    lines: tuple[tuple[str, str], ...]
    caution: str | None = None


@dataclass(frozen=True, slots=True)
class TurnInput:
    """What one turn starts with.

    `rules` hold from this turn on until a turn brings others, and take the place of earlier ones; `client` is
    the program of the sender, as that names itself. `instructions`, `effort` and `output_schema`, the JSON
    schema that the answer has to follow, are for this turn alone.
    """

    turn_id: TurnId
    content: tuple[ContentPart, ...]
    sender_name: str | None
    model: ModelChoice
    instructions: str | None = None
    client_tools: tuple[ClientTool, ...] = ()
    compact: bool = False
    """Nobody said anything: shorten what the model remembers, report `ContextCompacted`, and end."""
    folder: Path | None = None
    """Where its commands run, the same in all turns of a thread; None: `BackendConfig.working_dir`."""
    toolbox: Toolbox | None = None
    """Tools that the agent runs for the model; None when there are none, or the backend takes none."""
    rules: str | None = None
    client: str | None = None
    effort: str | None = None
    output_schema: Mapping[str, Json] | None = None
    mcp_servers: tuple[McpServer, ...] = ()
    """Servers whose tools the model may use in this turn, and in no other."""
    replaces: TurnId | None = None
    """An earlier turn that is asked again. The thread was opened anew, and its history lacks that turn; what
    a backend remembers of it itself the model must not see.
    """
    meter: Meter = field(default=UNMETERED, repr=False, compare=False)
    """Hears of each answer of a model as soon as it is over."""


type Answered = ToolResult | ErrorInfo | Secret
"""What a participant answered to `ClientToolRequested` or `SecretRequested`."""


@dataclass(frozen=True, slots=True)
class ToolkitInfo:
    """Tools a backend's turns can use, as clients list them: names with descriptions."""

    name: str
    title: str
    tools: tuple[tuple[str, str], ...] = ()


class BackendThread(Protocol):
    """One thread behind one backend. At most one turn runs at a time; the caller sees to it."""

    def run(self, turn: TurnInput) -> AsyncIterator[BackendEvent]:
        """Run a turn. The last event is exactly one `TurnEnded`, whatever happens, and items that were
        started are ended before it. Raises nothing: failures are a `TurnEnded` with an error.
        """
        ...

    async def steer(self, content: tuple[ContentPart, ...], sender_name: str | None) -> None:
        """Give the running turn more input. Called in the order in which it was said, also while earlier
        input still waits; returns when the model gets it. Raises `TurnRefusedError` when it does not, also
        when the turn ends first: then it must not get to the model later either.
        """
        ...

    async def interrupt(self) -> None:
        """Stop the running turn soon; returns at once, `run` then ends with INTERRUPTED. Idempotent."""
        ...

    async def decide(self, item_id: ItemId, decision: Decision, answers: Answers = NO_ANSWERS) -> bool:
        """Answer an `ApprovalRequested`; with `answers` when it had questions and the decision is ACCEPT.
        Returns False when nothing waits under this id any more. After CANCEL the caller interrupts the turn.
        """
        ...

    async def answer(self, ask_id: AskId, answer: Answered) -> bool:
        """Answer a `ClientToolRequested` or `SecretRequested`. Returns False when nothing waits for it any
        more. A tool that failed is an `ErrorInfo`.
        """
        ...

    async def close(self) -> None:
        """Release what this thread holds. Idempotent."""
        ...


class Backend(Protocol):
    """Opens threads and runs turns. Found by the entry-point group `process_agent.backends`.

    The entry point is a callable `create_backend(config: BackendConfig) -> Backend` that does no I/O.
    """

    @property
    def name(self) -> str:
        """The name in model specs: `codex` in `codex/gpt-5.5`."""
        ...

    @property
    def takes_tools(self) -> bool:
        """Whether its models can use the tools of `TurnInput.toolbox`."""
        ...

    @property
    def runs_commands(self) -> bool:
        """Whether its turns run commands, change files and read skills by themselves: then they get no such
        tools of the agent.
        """
        ...

    @property
    def takes_mcp(self) -> bool:
        """Whether its models can use the servers of `TurnInput.mcp_servers`."""
        ...

    async def start(self) -> BackendSummary:
        """Start what all threads share. Raises `BackendError` or `AuthError`, saying what to do."""
        ...

    def models(self) -> Sequence[ProviderModels]:
        """The models on offer, known after `start`."""
        ...

    def default_model(self) -> ModelChoice:
        """The model of a thread that never chose one."""
        ...

    def toolkits(self) -> Sequence[ToolkitInfo]:
        """What its turns can use beside the client's own tools."""
        ...

    async def title(self, text: str, meter: Meter = UNMETERED) -> str | None:
        """A short name for a thread that begins with `text`, made by the default model, or None when this
        backend makes none. Runs beside turns and never disturbs them. Raises `BackendError`; may be
        cancelled.
        """
        ...

    async def open_thread(
        self, thread_id: ThreadId, history: Sequence[HistoryItem], state: ThreadState
    ) -> BackendThread:
        """Open a thread. `history` is what the room's thread holds so far, oldest first; the backend makes
        its model see it exactly once. `state` is what it kept there itself, and where it keeps more.
        """
        ...

    async def discard(self, thread_id: ThreadId, state: KeptState) -> None:
        """The thread was cleared or deleted, and this had been kept with it, maybe long ago or by a thread
        that it is a copy of: let go of what it names. Raises `ProcessError`.
        """
        ...

    def command(self, thread_id: ThreadId, state: KeptState) -> str | None:
        """A shell command with which a person goes on with the conversation in a terminal, from what was kept
        with the thread, or None: it may be a copy that is none yet for the backend. Does no I/O and works
        before `start`.
        """
        ...

    async def close(self) -> None:
        """Stop what `start` started, children included. Idempotent."""
        ...
