"""What a model is asked, whatever dialect its provider speaks."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from process_agent.core.content import Json

type JsonObject = dict[str, Any]


# --- Parts of messages and of outputs ------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Replay:
    """What a provider wants to see again, encrypted or signed, exactly as it came. `origin` is who can read
    it; for all others it is left out.
    """

    origin: str
    data: Mapping[str, Json]


@dataclass(frozen=True, slots=True)
class Text:
    """Text; `cited` are the sources it rests on, as the provider wants to see them again."""

    text: str
    cited: Replay | None = None


@dataclass(frozen=True, slots=True)
class Image:
    """An image, as `data:` URL with base64 or as web address."""

    url: str


@dataclass(frozen=True, slots=True)
class Document:
    """A file that the provider reads itself, like a PDF, as `data:` URL with base64. `text` stands for it
    where a provider cannot, `tokens` is about what it is for one that can.
    """

    url: str
    name: str | None = None
    text: str = ""
    tokens: int = 0
    looked_into: bool = False
    """Whether `text` is what is in it, as far as that could be read, and no mere mention."""


type Part = Text | Image | Document


# --- The conversation ----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Message:
    """Something said. `developer` is the operator in the middle of a conversation."""

    role: Literal["user", "assistant", "developer"]
    parts: tuple[Part, ...]


@dataclass(frozen=True, slots=True)
class Reasoning:
    """What a model thought, as far as its provider shows it."""

    text: str
    replay: Replay | None = None


@dataclass(frozen=True, slots=True)
class Call:
    """A tool call of the model; `arguments` is JSON text, which may be broken."""

    call_id: str
    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class CallOutput:
    """What a call gave back. Every call has one before the model is asked again."""

    call_id: str
    parts: tuple[Part, ...]
    failed: bool = False


type HostedTool = Literal["web_search", "image_generation"]
"""Tools that a provider runs itself."""


@dataclass(frozen=True, slots=True)
class Hosted:
    """What a tool of the provider's own did. `replay` is in the items of the dialect (member `items`); `seen`
    is what a model of another provider is told instead.
    """

    tool: HostedTool
    replay: Replay
    seen: tuple[Part, ...] = ()
    unfinished: bool = False
    """Whether the provider goes on with it in its next answer."""


type Item = Message | Reasoning | Call | CallOutput | Hosted


# --- The request ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class OfferedTool:
    """A function the model may call; `schema` is the JSON schema of its arguments, an object."""

    name: str
    description: str
    schema: Mapping[str, Json]


@dataclass(frozen=True, slots=True)
class OutputSchema:
    """The answer has to be JSON that follows `schema`."""

    name: str
    schema: Mapping[str, Json]


class Built:
    """What a dialect made of a conversation for the last request: one that only grew is not made again."""

    def __init__(self) -> None:
        self._of: tuple[str, str] | None = None
        self._items: tuple[Item, ...] = ()
        self._made: Any = None

    def made[T](
        self,
        dialect: str,
        origin: str,
        items: tuple[Item, ...],
        begin: Callable[[], T],
        add: Callable[[T, Item], None],
    ) -> T:
        """`begin()`, to which all items were added in their order: the same object as for the last request
        when its items only go on. A request is made from it and changes nothing in it.
        """
        known, of = self._items, (dialect, origin)
        made: T = self._made
        if self._of != of or items[: len(known)] != known:
            known, made = (), begin()
        self._of = None  # if an item cannot be added, nothing is known
        for item in items[len(known) :]:
            add(made, item)
        self._of, self._items, self._made = of, items, made
        return made


@dataclass(frozen=True, slots=True)
class ModelRequest:
    """One request; answers are streamed.

    `search` offers the provider's own search of the web, `image_model` its making of images with this model.

    `origin` names the provider for `Replay`. With `reasons` the model is asked to show its reasoning and to
    give it back for replay; an `adaptive` one decides itself how long it thinks. `effort` is a level that the
    model has (`ModelProvider.efforts_of`). With `reasoned_calls` it takes no call of a tool without the
    reasoning before it. `max_output` is in tokens, where the provider demands a limit. `cache_key` names the
    conversation for the provider's cache.
    """

    model: str
    items: tuple[Item, ...]
    instructions: str = ""
    tools: tuple[OfferedTool, ...] = ()
    output: OutputSchema | None = None
    origin: str = ""
    reasons: bool = False
    adaptive: bool = False
    effort: str | None = None
    reasoned_calls: bool = False
    max_output: int | None = None
    cache_key: str | None = None
    search: bool = False
    image_model: str | None = None
    extra: Mapping[str, Json] = field(default_factory=dict)
    """Members of the body as the provider's configuration gives them."""
    built: Built = field(default_factory=Built, repr=False, compare=False)
    """What was made of the items for earlier requests of the same conversation."""


def replayed(replay: Replay) -> list[JsonObject]:
    """The items of the dialect in what a tool of the provider's own left."""
    items = replay.data.get("items")
    return [dict(item) for item in items if isinstance(item, dict)] if isinstance(items, list) else []


def split_data_url(url: str) -> tuple[str, str] | None:
    """Media type and base64 of a `data:` URL; None for any other address."""
    head, comma, data = url.partition(",")
    if not comma or head[:5].lower() != "data:" or not head.lower().endswith(";base64"):
        return None
    return head[5:].split(";", 1)[0].lower(), data
