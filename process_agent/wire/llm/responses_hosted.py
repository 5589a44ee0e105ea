"""OpenAI's own tools in the Responses dialect: the search of the web, and the making of images.

Shapes: the items `web_search_call` and `image_generation_call` of the official SDK.
"""

from __future__ import annotations

from process_agent.core.content import Json
from process_agent.core.images import image_type_of_base64
from process_agent.wire.llm import events as e
from process_agent.wire.llm.reader import count_of, list_of, object_of, text_of
from process_agent.wire.llm.request import Hosted, Image, JsonObject, ModelRequest, Replay, Text

PARTIAL_IMAGES = 2
"""Images as far as they are made that are asked for, of each."""

MAX_RESULTS = 50

UNTOLD = "unknown"
"""A quality or size that the provider does not tell."""

KINDS = ("web_search_call", "image_generation_call")
"""Items of these tools."""


def offered(request: ModelRequest) -> list[JsonObject]:
    """The tools that the request offers."""
    found: list[JsonObject] = []
    if request.search:
        found.append({"type": "web_search"})
    if request.image_model is not None:
        making = {"type": "image_generation", "partial_images": PARTIAL_IMAGES}
        found.append({**making, "model": request.image_model})
    return found


def included(request: ModelRequest) -> list[str]:
    """What the answer is to say beside what it says by itself."""
    return ["web_search_call.action.sources"] if request.search else []


def begun(item: JsonObject) -> e.HostedBegun:
    """An item that begins."""
    searches = item.get("type") == "web_search_call"
    return e.HostedBegun(text_of(item, "id"), "web_search" if searches else "image_generation")


def heard(event: JsonObject) -> list[e.StreamEvent]:
    """What an event about a tool says: an image as far as it is made, or nothing."""
    if event.get("type") != "response.image_generation_call.partial_image":
        return []
    data, index = text_of(event, "partial_image_b64"), count_of(event, "partial_image_index")
    return [e.HostedImage(text_of(event, "item_id"), data, index)]


def searched(event: e.StreamEvent) -> bool:
    """Whether the event is a search that OpenAI charges for: looking at a page found is none."""
    if not isinstance(event, e.HostedDone) or event.result is None or event.hosted.tool != "web_search":
        return False
    return text_of(event.arguments.get("action"), "type") in ("", "search")


def made(item: JsonObject) -> tuple[str, ...]:
    """The image that an item holds, by quality and size, which OpenAI charges for."""
    if item.get("type") != "image_generation_call" or not text_of(item, "result"):
        return ()
    return (f"{text_of(item, 'quality') or UNTOLD} {text_of(item, 'size') or UNTOLD}",)


def done(item: JsonObject, origin: str) -> e.HostedDone | None:
    """An item that is complete; None when it is of no such tool."""
    if item.get("type") not in KINDS:
        return None
    kept = {name: value for name, value in item.items() if value is not None}
    replay = Replay(origin, {"items": [kept]})
    if item.get("type") == "web_search_call":
        return _searched(item, replay)
    return _made(item, replay)


def _searched(item: JsonObject, replay: Replay) -> e.HostedDone:
    action = object_of(item, "action")
    sources = list_of(action, "sources")[:MAX_RESULTS]
    results: list[Json] = [
        {name: text for name in ("url", "title") if (text := text_of(source, name))} for source in sources
    ]
    about = {name: value for name, value in action.items() if name != "sources" and value is not None}
    several = action.get("queries")
    asked = "; ".join(map(str, several)) if isinstance(several, list) else ""
    query = text_of(action, "query") or asked or text_of(action, "url") or text_of(action, "pattern")
    arguments: dict[str, Json] = {"query": query, **({"action": about} if about else {})}
    seen = searched_text(query, [text_of(source, "url") for source in sources])
    failed = item.get("status") == "failed"
    return e.HostedDone(
        text_of(item, "id"),
        Hosted("web_search", replay, (Text(seen),)),
        arguments,
        None if failed else {"results": results},
        "The search failed." if failed else None,
    )


def _made(item: JsonObject, replay: Replay) -> e.HostedDone:
    data, prompt = text_of(item, "result"), text_of(item, "revised_prompt")
    kind = image_type_of_base64(data)
    arguments: dict[str, Json] = {"prompt": prompt} if prompt else {}
    if kind is None:
        error = "No image was made." if not data else "What was made is no PNG, JPEG, GIF or WebP image."
        return e.HostedDone(text_of(item, "id"), Hosted("image_generation", replay), arguments, error=error)
    url = f"data:{kind};base64,{data}"
    seen = (Text(f"[An image was made: {prompt or 'without a description'}]"), Image(url))
    return e.HostedDone(
        text_of(item, "id"), Hosted("image_generation", replay, seen), arguments, {"image": url}
    )


def searched_text(query: str, urls: list[str]) -> str:
    """What a model of another provider is told of a search."""
    found = f" and found {', '.join(urls[:10])}" if urls else ""
    return f"[The web was searched for {query[:500]!r}{found}.]"
