"""How much everything that belongs to an object holds: the lengths of all containers below it, by place."""

from __future__ import annotations

import functools
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AsyncExitStack
from types import FunctionType, MethodType
from typing import Any

OURS = ("process_agent.", "backends.")


def holdings(root: object) -> Counter[str]:
    """Entries in containers, summed up over all objects in the same place: `Runner._work.*` is the same place
    for each thread.
    """
    held: Counter[str] = Counter()
    seen: set[int] = set()
    waiting: list[tuple[str, object]] = [(type(root).__name__, root)]
    while waiting:
        place, thing = waiting.pop()
        if id(thing) in seen:
            continue
        seen.add(id(thing))
        if isinstance(thing, (dict, list, set, frozenset, deque)):
            held[place] += len(thing)
        waiting.extend(_below(place, thing))
    return held


def _below(place: str, thing: object) -> Iterator[tuple[str, object]]:
    if type(thing).__module__.startswith(OURS):
        for name, value in _members(thing):
            yield f"{type(thing).__name__}.{name}", value
    elif isinstance(thing, MethodType):
        yield type(thing.__self__).__name__, thing.__self__
    else:
        for each in _contents(thing):
            yield f"{place}[]", each


def _contents(thing: object) -> Iterable[object]:
    match thing:
        case Mapping():
            return [*thing.keys(), *thing.values()]
        case list() | tuple() | set() | frozenset() | deque():
            return thing
        case FunctionType():
            return [cell.cell_contents for cell in thing.__closure__ or ()]
        case functools.partial():
            return (thing.func, *thing.args)
        case AsyncExitStack():
            return [callback for _, callback in vars(thing)["_exit_callbacks"]]
        case _:
            return ()


def _members(thing: object) -> Iterator[tuple[str, Any]]:
    yield from getattr(thing, "__dict__", {}).items()
    for kind in type(thing).__mro__:
        for name in getattr(kind, "__slots__", ()):
            if not name.startswith("__") and hasattr(thing, name):
                yield name, getattr(thing, name)
