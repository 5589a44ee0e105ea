"""Tools that a provider runs itself: what people see of them, and what models are told later. Pure."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Final

from process_agent.core.content import ErrorInfo, GeneratedImage, JsonResult
from process_agent.core.events import (
    BackendEvent,
    ImageCompleted,
    ImageFailed,
    ImagePartial,
    ImageStarted,
    ToolEnded,
    ToolRef,
    ToolStarted,
    Working,
)
from process_agent.core.ids import ItemId
from process_agent.core.images import image_type, png_size
from process_agent.core.providers import ModelProvider
from process_agent.wire.llm import events as e
from process_agent.wire.llm.request import (
    Document,
    Hosted,
    HostedTool,
    Image,
    Item,
    Message,
    Part,
    Reasoning,
    Text,
    split_data_url,
)

MAX_IMAGE: Final = 8 * 1024 * 1024
"""Characters of base64 of an image that is passed on."""

MAX_IMAGES: Final = 4
"""Images that models made which the next request holds, the newest."""

_WORKING: Final = {"web_search": "Searching the web", "image_generation": "Making an image"}

TOO_LARGE: Final = ErrorInfo(
    f"The image is too large to be shown: more than {MAX_IMAGE} characters of base64.", "image_too_large"
)


class HostedCalls:
    """The calls of one turn. `provider` names whose tools they are."""

    def __init__(self, prefix: str, provider: str) -> None:
        self._prefix = prefix
        self._provider = provider
        self._open: dict[str, ToolRef] = {}
        self._count = 0

    def take(self, event: e.HostedBegun | e.HostedImage | e.HostedDone) -> Iterator[BackendEvent]:
        """What one event tells the room."""
        match event:
            case e.HostedBegun(call_id, tool):
                yield from self._begin(call_id, tool)
            case e.HostedImage(call_id, data, index):
                image = _image(data)
                if call_id in self._open and isinstance(image, GeneratedImage):
                    yield ImagePartial(self._open[call_id].item_id, image, index)
            case e.HostedDone():
                yield from self._done(event)

    def close(self, error: ErrorInfo) -> Iterator[BackendEvent]:
        """Whatever is open ends."""
        for ref in self._open.values():
            if ref.tool == "image_generation":
                yield ImageFailed(ref.item_id, error)
            else:
                yield ToolEnded(ref, error=error)
        self._open.clear()

    def _begin(self, call_id: str, tool: HostedTool) -> Iterator[BackendEvent]:
        if call_id in self._open:
            return
        self._count += 1
        item_id = ItemId(f"{self._prefix}:hosted-{self._count}")
        ref = ToolRef(item_id, self._provider, tool, self._provider, call_id)
        self._open[call_id] = ref
        yield ImageStarted(item_id) if tool == "image_generation" else ToolStarted(ref, {})
        yield Working(_WORKING[tool])

    def _done(self, event: e.HostedDone) -> Iterator[BackendEvent]:
        yield from self._begin(event.call_id, event.hosted.tool)
        ref = self._open[event.call_id]
        making = event.hosted.tool == "image_generation"
        if event.arguments:
            yield ImageStarted(ref.item_id, event.arguments) if making else ToolStarted(ref, event.arguments)
        if event.result is None and event.error is None:
            return  # it goes on in the next answer
        del self._open[event.call_id]
        error = None if event.error is None else ErrorInfo(event.error, f"{ref.tool}_failed")
        if not making:
            yield ToolEnded(ref, None if event.result is None else JsonResult(dict(event.result)), error)
        else:
            url = str((event.result or {}).get("image", ""))
            image = error or _image(url.partition(",")[2])
            if isinstance(image, ErrorInfo):
                yield ImageFailed(ref.item_id, image)
            else:
                prompt = event.arguments.get("prompt")
                yield ImageCompleted(ref.item_id, (image,), prompt if isinstance(prompt, str) else None)
        yield Working("Thinking")


def for_provider(
    items: Iterable[Item],
    origin: str,
    tools: frozenset[HostedTool] = frozenset(),
    *,
    reasoning: bool = True,
) -> tuple[Item, ...]:
    """The conversation as a model of this provider can read it: what others encrypted is left out, what their
    own tools did is told in words. `tools` are those that the request offers: without them it cannot be
    replayed. No `reasoning` is told where the model refuses it.
    """
    listed = list(items)
    images = [item for item in listed if isinstance(item, Hosted) and item.tool == "image_generation"]
    kept = {id(item) for item in images[-MAX_IMAGES:]}
    found: list[Item] = []
    for position, item in enumerate(listed):
        match item:
            case Message():
                found.append(item if _is_plain(item) else _uncited(item, origin, "web_search" in tools))
            case Reasoning(_, known):
                if reasoning and known is not None and known.origin == origin:
                    found.append(item)
            case Hosted(tool, known, seen):
                fits = known.origin == origin and tool in tools and not _given_up(listed, position)
                if fits and (tool != "image_generation" or id(item) in kept):
                    found.append(item)
                    continue
                if found and isinstance(found[-1], Reasoning):
                    found.pop()  # providers refuse reasoning without what it led to
                if tool == "image_generation" and id(item) not in kept:
                    seen = tuple(part for part in seen if not isinstance(part, Image))
                if seen:
                    found.append(Message("user", seen))
            case _:
                found.append(item)
    return tuple(found)


def reads_reasoning(provider: ModelProvider, model: str) -> bool:
    """Whether a model takes back what one of its provider reasoned: over Responses others refuse it."""
    return provider.dialect != "responses" or provider.reasons(model)


def to_be_kept(said: Sequence[Item]) -> Sequence[Item]:
    """What an answer said, without reasoning at its end: providers refuse it without what it led to."""
    end = len(said)
    while end and isinstance(said[end - 1], Reasoning):
        end -= 1
    return said[:end]


def in_words(items: Iterable[Item]) -> Iterator[Item]:
    """What an answer said that broke off: no reasoning, and in words what the provider's tools did."""
    for item in items:
        match item:
            case Hosted(_, _, seen):
                if seen:
                    yield Message("user", seen)
            case Reasoning():
                pass
            case _:
                yield item


def readable_documents(items: Iterable[Item], provider: ModelProvider) -> Iterator[Item]:
    """The conversation with words in place of the documents that this provider does not read."""
    for item in items:
        if (
            not _is_plain(item)
            and isinstance(item, Message)
            and any(isinstance(part, Document) for part in item.parts)
        ):
            item = replace(item, parts=tuple(_readable(part, provider) for part in item.parts))
        yield item


def _is_plain(item: Item) -> bool:
    """Whether it is one text that every provider takes as it is, as most of a long conversation is: asked
    first, for every item of every request.
    """
    if type(item) is not Message or len(item.parts) != 1:
        return False
    part = item.parts[0]
    return type(part) is Text and part.cited is None


def _readable(part: Part, provider: ModelProvider) -> Part:
    if not isinstance(part, Document):
        return part
    kind, _ = split_data_url(part.url) or ("", "")
    return part if provider.reads(kind) else Text(part.text)


def _given_up(items: Sequence[Item], position: int) -> bool:
    """Whether what an answer had begun was never gone on with: something else came after it."""
    item = items[position]
    if not isinstance(item, Hosted) or not item.unfinished:
        return False
    for later in items[position + 1 :]:
        if not (isinstance(later, Hosted) and later.unfinished):
            return not isinstance(later, Hosted)
    return False


def _uncited(item: Message, origin: str, replayed: bool) -> Message:
    """The message in one piece where its sources cannot be told again."""
    sources = [part.cited for part in item.parts if isinstance(part, Text) and part.cited is not None]
    if not sources or (replayed and all(each.origin == origin for each in sources)):
        return item
    text = "".join(part.text for part in item.parts if isinstance(part, Text))
    return replace(item, parts=(Text(text),))


def _image(data: str) -> GeneratedImage | ErrorInfo:
    if len(data) > MAX_IMAGE:
        return TOO_LARGE
    try:
        head = base64.b64decode(data[:64], validate=True)
    except (binascii.Error, ValueError):
        head = b""
    kind = image_type(head)
    if kind is None:
        return ErrorInfo("What was made is no PNG, JPEG, GIF or WebP image.", "image_failed")
    width, height = png_size(head) if kind == "image/png" else (None, None)
    return GeneratedImage(f"data:{kind};base64,{data}", kind, width, height)


def tool_names(search: bool, image_model: str | None) -> frozenset[HostedTool]:
    """The tools that a request offers."""
    found: Sequence[HostedTool] = ("web_search",) if search else ()
    return frozenset((*found, "image_generation") if image_model is not None else found)
