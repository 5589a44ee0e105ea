"""Secrets in what is stored: found, and covered by a mark of the same length. Pure.

Covered text has the length of the original, so that every place in a text means the same in what is streamed
and in what is stored. Line ends stay.

What is streamed is covered as it comes: `Covering` gives out what no later text can change any more, and
holds back the end of the text while it may be the beginning of a secret. Cut anywhere, the result is one.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable, Iterator
from typing import Final

from process_agent.core.content import Json
from process_agent.core.redaction.keys import KnownKeys, may_have_keys
from process_agent.core.redaction.stages import MARK, Patterns, Stage, Values

CUT: Final = "…"
"""What a name ends with that is the beginning of a text."""

MAX_SHOWN: Final = 7
"""Characters of what may be the beginning of a secret that are kept while that is not known: keys begin with
as many that say nothing.
"""

MIN_VALUE: Final = 12
"""Characters of the shortest value that is looked for: shorter ones are words that occur by chance."""

AS_THEY_ARE: Final = frozenset(
    (
        "type",
        "message_id",
        "thread_id",
        "turn_id",
        "item_id",
        "source_message_id",
        "call_id",
        "encrypted_content",
    )
)
"""Fields of a message that are never covered: by them its parts are found."""


class Redaction:
    """What is covered: `values` wherever they are, with `keys` known forms, and `patterns` within a line."""

    def __init__(
        self, values: Iterable[str] = (), *, keys: bool = False, patterns: Iterable[re.Pattern[str]] = ()
    ) -> None:
        long = {value for value in values if len(value) >= MIN_VALUE}
        self.values = tuple(sorted({form for value in long for form in _forms(value)}, key=len, reverse=True))
        self.keys = keys
        self.patterns = tuple(patterns)
        self.places = 0
        """Secrets that `text` and `json` covered so far."""

    def __bool__(self) -> bool:
        return bool(self.values or self.keys or self.patterns)

    def text(self, text: str) -> str:
        """The text, covered."""
        if not self._suspicious(text):
            return text
        covering = Covering(self)
        covered = covering.feed(text) + covering.finish()
        self.places += covering.places
        return covered

    def name(self, name: str) -> str:
        """A name that may be the beginning of a text, cut off with `…`, and a secret with it."""
        if not name.endswith(CUT):
            return self.text(name)
        covering, body = Covering(self), name.removesuffix(CUT)
        done = covering.feed(body)
        rest = body[len(done) :]
        if len(rest) > MAX_SHOWN and self._may_begin(rest):
            self.places += 1
            return f"{done}{(MARK + '*' * len(rest))[: len(rest)]}{CUT}"
        return f"{done}{covering.finish()}{CUT}"

    def _may_begin(self, rest: str) -> bool:
        begins = (value[:length] for value in self.values for length in range(MAX_SHOWN + 1, len(value)))
        return any(rest.endswith(begin) for begin in begins) or (self.keys and may_have_keys(rest))

    def _suspicious(self, text: str) -> bool:
        """Whether there may be something to cover: most texts are passed on after this look."""
        if any(value in text for value in self.values):
            return True
        if self.keys and may_have_keys(text):
            return True
        return any(pattern.search(text) for pattern in self.patterns)

    def json(self, value: Json) -> Json:
        """A JSON value with its texts covered, names included, but for `AS_THEY_ARE`."""
        match value:
            case str():
                return self.text(value)
            case list():
                return [self.json(each) for each in value]
            case dict():
                covered: dict[str, Json] = {}
                for name, each in value.items():
                    covered[_free(self.text(name), covered)] = self.field(name, each)
                return covered
            case _:
                return value

    def field(self, name: str, value: Json) -> Json:
        """The value of a field of a message, covered."""
        return value if name in AS_THEY_ARE else self.json(value)


def _forms(value: str) -> Iterator[str]:
    """A value as it is, and as JSON within a text writes it."""
    yield value
    yield json.dumps(value)[1:-1]
    yield json.dumps(value, ensure_ascii=False)[1:-1]


def _free(name: str, taken: Collection[str]) -> str:
    while name in taken:
        name += "*"
    return name


class Covering:
    """One text on its way. What `feed` and `finish` give is together as long as what was fed."""

    def __init__(self, redaction: Redaction) -> None:
        self._stages: list[Stage] = []
        if redaction.values:
            self._stages.append(Values(redaction.values))
        if redaction.keys:
            self._stages.append(KnownKeys())
        if redaction.patterns:
            self._stages.append(Patterns(redaction.patterns))

    @property
    def places(self) -> int:
        """How many secrets were covered so far."""
        return sum(stage.places for stage in self._stages)

    def feed(self, text: str) -> str:
        """More of it; what is final now."""
        for stage in self._stages:
            text = stage.feed(text)
        return text

    def finish(self) -> str:
        """The rest, at the end of the text."""
        text = ""
        for stage in self._stages:
            text = stage.feed(text) + stage.finish()
        return text


NOTHING: Final = Redaction()
"""Covers nothing."""
