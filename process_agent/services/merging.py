"""A new service document over the one that is there: what people changed by hand since the last deploy stays.

Three documents are compared: what was deployed last, what is there now, and what is to be deployed. Pure.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from typing import cast

from process_agent.core.content import Json
from process_agent.services.written import as_yaml

KEYS = ("name", "path")
"""What names an entry of a list: lists whose entries all have one of these are merged entry by entry."""

_ABSENT = object()


def merged(last: Mapping[str, Json] | None, there: Mapping[str, Json], new: Mapping[str, Json]) -> Merge:
    """The document to send, and what of it was changed by hand.

    `last` is None when nobody knows it: then what `new` says wins, and what it does not speak of stays.
    Whether the service is enabled always stays.
    """
    result = Merge()
    document = result.objects(last, without_nulls(there), without_nulls(new), "")
    if "enabled" in there:
        document["enabled"] = there["enabled"]
        for places in (result.kept, result.replaced):
            places[:] = [place for place in places if place != "enabled"]
    result.document = document
    return result


class Merge:
    """The outcome. `kept` and `replaced` are places that were changed by hand, like `container.image`."""

    def __init__(self) -> None:
        self.document: dict[str, Json] = {}
        self.kept: list[str] = []
        self.replaced: list[str] = []

    def objects(
        self, last: Mapping[str, Json] | None, there: Mapping[str, Json], new: Mapping[str, Json], place: str
    ) -> dict[str, Json]:
        """Merge two objects; `last` as in `merged`. For `merged` only."""
        found: dict[str, Json] = {}
        for key in (*there, *(key for key in new if key not in there)):
            before = _ABSENT if last is None else last.get(key, _ABSENT)
            value = self._value(
                before,
                there.get(key, _ABSENT),
                new.get(key, _ABSENT),
                f"{place}.{key}".lstrip("."),
                knows=last is not None,
            )
            if value is not _ABSENT:
                found[key] = cast(Json, value)
        return found

    def _value(self, last: object, there: object, new: object, place: str, *, knows: bool) -> object:
        if there == new:
            return new
        if isinstance(there, Mapping) and isinstance(new, Mapping):
            before = last if isinstance(last, Mapping) else ({} if knows else None)
            return self.objects(before, there, new, place)
        names = _names(there), _names(new)
        if isinstance(there, list) and isinstance(new, list) and None not in names:
            return self._lists(last if isinstance(last, list) else None, there, new, place, knows=knows)
        if not knows:
            return there if new is _ABSENT else new
        if there == last:
            return new
        if new == last or (new is _ABSENT and last is _ABSENT):
            self.kept.append(place)
            return there
        self.replaced.append(place)
        return new

    def _lists(
        self, last: list[Json] | None, there: list[Json], new: list[Json], place: str, *, knows: bool
    ) -> list[Json]:
        before = _by_name(last) if last is not None and _names(last) is not None else {}
        mine, theirs, found = _by_name(new), _by_name(there), []
        for name in (*theirs, *(name for name in mine if name not in theirs)):
            value = self._value(
                before.get(name, _ABSENT),
                theirs.get(name, _ABSENT),
                mine.get(name, _ABSENT),
                f"{place}[{name}]",
                knows=knows,
            )
            if value is not _ABSENT:
                found.append(cast(Json, value))
        return found


def without_nulls(value: Mapping[str, Json]) -> dict[str, Json]:
    """A document without what is null, which is how MeshAgent writes what is not set."""
    return {key: _bare(part) for key, part in value.items() if part is not None}


def difference(there: Mapping[str, Json] | None, new: Mapping[str, Json]) -> str:
    """What changes, as a unified diff of YAML; empty when nothing does."""
    old = "" if there is None else as_yaml(dict(there))
    names = ("nothing" if there is None else "deployed", "new")
    return "".join(
        difflib.unified_diff(
            old.splitlines(keepends=True), as_yaml(dict(new)).splitlines(keepends=True), *names
        )
    )


def _bare(value: Json) -> Json:
    if isinstance(value, dict):
        return without_nulls(value)
    if isinstance(value, list):
        return [_bare(part) for part in value]
    return value


def _names(value: object) -> list[str] | None:
    """The names of a list's entries; None unless each has its own."""
    if not isinstance(value, Sequence) or isinstance(value, str):
        return None
    found = [_name(entry) for entry in value]
    names = [name for name in found if name is not None]
    return names if len(set(names)) == len(value) else None


def _name(entry: object) -> str | None:
    if not isinstance(entry, Mapping):
        return None
    return next((str(entry[key]) for key in KEYS if isinstance(entry.get(key), str)), None)


def _by_name(entries: Sequence[Json]) -> dict[str, Json]:
    return {name: entry for entry in entries if (name := _name(entry)) is not None}
