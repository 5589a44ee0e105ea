"""What a participant asks of the agent, as typed variants.

A channel makes these from whatever it receives and sets `sender` from what the room authenticated, never
from what the message claims.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from process_agent.core.content import ContentPart, ErrorInfo, Json, ToolResult
from process_agent.core.decisions import NO_ANSWERS, Answers, Decision
from process_agent.core.ids import AskId, ItemId, MessageId, ThreadId, TurnId
from process_agent.core.mcp import McpServer
from process_agent.core.participants import Participant


@dataclass(frozen=True, slots=True)
class Envelope:
    """Who asked, through which channel, and the id to answer with."""

    message_id: MessageId
    channel: str
    sender: Participant


@dataclass(frozen=True, slots=True)
class ModelWish:
    """A model as a client names it; missing parts mean "as it is"."""

    backend: str | None = None
    provider: str | None = None
    model: str | None = None


@dataclass(frozen=True, slots=True)
class ClientTool:
    """A tool that the asking client runs itself; `schema` is the JSON schema of its arguments."""

    name: str
    schema: Mapping[str, Json]
    title: str | None = None
    description: str | None = None


@dataclass(frozen=True, slots=True)
class TurnOptions:
    """What a request says about its turn beside content and model.

    `instructions`, `effort` and `output_schema`, the JSON schema of the answer, hold for this turn only.
    Where a turn is not `attended`, somebody waits for its end and cannot be asked: what needs an approval is
    declined at once, unless another participant views the thread. Where its sender is a channel without
    people, it `can_answer` nothing: no secret is asked for.
    """

    instructions: str | None = None
    client_tools: tuple[ClientTool, ...] = ()
    attended: bool = True
    can_answer: bool = True
    effort: str | None = None
    output_schema: Mapping[str, Json] | None = None
    mcp_servers: tuple[McpServer, ...] = ()


@dataclass(frozen=True, slots=True)
class StartThread:
    """Create a thread; with `content`, also its first turn, which reuses the request's message id."""

    envelope: Envelope
    content: tuple[ContentPart, ...] = ()
    name: str | None = None
    wish: ModelWish = ModelWish()
    options: TurnOptions = TurnOptions()


@dataclass(frozen=True, slots=True)
class StartTurn:
    """Queue a turn. `create` makes the thread, under this very id, when there is none; `replaces` is an
    earlier turn that no model is to see any more (`/retry`). No participant's message can say either.
    """

    envelope: Envelope
    thread_id: ThreadId
    content: tuple[ContentPart, ...]
    turn_id: TurnId | None = None
    wish: ModelWish = ModelWish()
    options: TurnOptions = TurnOptions()
    create: bool = False
    replaces: TurnId | None = None


@dataclass(frozen=True, slots=True)
class SteerTurn:
    """Give the running turn more to think about."""

    envelope: Envelope
    thread_id: ThreadId
    turn_id: TurnId
    content: tuple[ContentPart, ...]


@dataclass(frozen=True, slots=True)
class InterruptTurn:
    """Stop the running turn; valid in every state, without effect when it does not run."""

    envelope: Envelope
    thread_id: ThreadId
    turn_id: TurnId


@dataclass(frozen=True, slots=True)
class OpenThread:
    """Become a viewer; with `load`, get what is stored, from `since_turn` (a turn or message id) on.

    Who pages backwards asks for the last `limit` turns, then for those before the cursor that `ThreadLoaded`
    told; with `before` nothing but that page comes.
    """

    envelope: Envelope
    thread_id: ThreadId
    load: bool = False
    since_turn: str | None = None
    before: str | None = None
    limit: int | None = None


@dataclass(frozen=True, slots=True)
class CloseThread:
    """Stop viewing."""

    envelope: Envelope
    thread_id: ThreadId


@dataclass(frozen=True, slots=True)
class ListThreads:
    """One page of the thread list, newest first."""

    envelope: Envelope
    limit: int = 200
    offset: int = 0


@dataclass(frozen=True, slots=True)
class WatchThreads:
    """Hear of created, updated and deleted threads until unwatched."""

    envelope: Envelope


@dataclass(frozen=True, slots=True)
class UnwatchThreads:
    """Stop hearing of the list."""

    envelope: Envelope


@dataclass(frozen=True, slots=True)
class RenameThread:
    """Give a thread another name."""

    envelope: Envelope
    thread_id: ThreadId
    name: str


@dataclass(frozen=True, slots=True)
class DeleteThread:
    """Remove a thread with all its rows, and the files in it unless `keep_files` says so."""

    envelope: Envelope
    thread_id: ThreadId
    keep_files: bool = False


@dataclass(frozen=True, slots=True)
class ClearThread:
    """Forget what was said in a thread; the thread itself stays."""

    envelope: Envelope
    thread_id: ThreadId


@dataclass(frozen=True, slots=True)
class AnswerClientTool:
    """What a client's tool returned, or how it failed."""

    envelope: Envelope
    thread_id: ThreadId
    turn_id: TurnId
    ask_id: AskId
    response: ToolResult | ErrorInfo


@dataclass(frozen=True, slots=True)
class Secret:
    """A secret as its owner gave it; never printed."""

    value: str | None = field(default=None, repr=False)
    authorization_code: str | None = field(default=None, repr=False)
    redirect_uri: str | None = None
    error: str | None = None


@dataclass(frozen=True, slots=True)
class AnswerSecret:
    """A secret the turn asked for."""

    envelope: Envelope
    thread_id: ThreadId
    turn_id: TurnId
    ask_id: AskId
    secret: Secret


@dataclass(frozen=True, slots=True)
class ListModels:
    """Which models can be chosen."""

    envelope: Envelope


@dataclass(frozen=True, slots=True)
class ChangeModel:
    """Use another model on this thread from its next turn on."""

    envelope: Envelope
    thread_id: ThreadId
    wish: ModelWish


@dataclass(frozen=True, slots=True)
class Decide:
    """Decide about an item that waits for approval; `answers` to the questions it asks."""

    envelope: Envelope
    thread_id: ThreadId
    turn_id: TurnId
    item_id: ItemId
    decision: Decision
    answers: Answers = NO_ANSWERS


@dataclass(frozen=True, slots=True)
class ListCapabilities:
    """What the agent can do in this thread."""

    envelope: Envelope
    thread_id: ThreadId


@dataclass(frozen=True, slots=True)
class Left:
    """A participant is gone: it views and watches nothing any more."""

    participant: Participant
    channel: str


type Request = (
    StartThread
    | StartTurn
    | SteerTurn
    | InterruptTurn
    | OpenThread
    | CloseThread
    | ListThreads
    | WatchThreads
    | UnwatchThreads
    | RenameThread
    | DeleteThread
    | ClearThread
    | ListModels
    | ChangeModel
    | Decide
    | AnswerClientTool
    | AnswerSecret
    | ListCapabilities
    | Left
)
