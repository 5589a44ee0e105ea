"""What can come next on a command line. Pure, and on plain data: see `outline` for its shape."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

type Command = Mapping[str, Any]
"""`help`, `hidden`; a group has `commands` by name, a command `options` and `arguments`."""

type Candidate = tuple[str, str]
"""What can be typed, and what it means."""


@dataclass(frozen=True, slots=True)
class Next:
    """What can come. `kind` names what has to be looked up: files, dirs, rooms, agents, threads, services,
    profiles.

    `prefix` stands before the value in the same word, like `--room=`; `typed` is the value so far. `given`
    are the options that are there already, with their last value.
    """

    values: tuple[Candidate, ...] = ()
    kind: str | None = None
    prefix: str = ""
    typed: str = ""
    given: Mapping[str, str] = field(default_factory=dict)


END_OF_OPTIONS: Final = "--"


@dataclass(slots=True)
class _Walk:
    """How far the words before the cursor lead."""

    command: Command
    given: dict[str, str] = field(default_factory=dict)
    used: set[str] = field(default_factory=set)
    arguments: int = 0
    plain: bool = False
    waiting: Mapping[str, Any] | None = None

    def take(self, word: str) -> None:
        if self.waiting is not None:
            self.given[self.waiting["key"]] = word
            self.waiting = None
        elif word == END_OF_OPTIONS and not self.plain:
            self.plain = True
        elif word.startswith("-") and len(word) > 1 and not self.plain:
            self._take_option(word)
        elif word in self.command.get("commands", {}):
            self.command = self.command["commands"][word]
        else:
            self.arguments += 1

    def _take_option(self, word: str) -> None:
        flag, equals, value = word.partition("=")
        option = _option(self.command, flag)
        if option is None:
            return
        self.used.add(option["key"])
        if option["takes"] and equals:
            self.given[option["key"]] = value
        elif option["takes"]:
            self.waiting = option


def following(root: Command, words: Sequence[str], typed: str) -> Next:
    """What can come in place of `typed`, after `words`, the program's name left out."""
    walk = _Walk(root)
    for word in words:
        walk.take(word)
    if walk.waiting is not None:
        return _values(walk.waiting, "", typed, walk.given)
    flag, equals, value = typed.partition("=")
    if equals and flag.startswith("--") and not walk.plain:
        option = _option(walk.command, flag)
        takes = option is not None and option["takes"]
        return _values(option or {}, f"{flag}=", value, walk.given) if takes else Next()
    if typed.startswith("-") and not walk.plain:
        return Next(_flags(walk, typed), typed=typed)
    return _argument(walk, typed)


def _argument(walk: _Walk, typed: str) -> Next:
    commands = walk.command.get("commands", {})
    if commands:
        found = [(name, below["help"]) for name, below in commands.items() if not below["hidden"]]
        return Next(_fitting(found, typed), typed=typed, given=walk.given)
    arguments = walk.command.get("arguments", ())
    if not arguments:
        return Next(_flags(walk, typed) if not typed else (), typed=typed)
    last = arguments[min(walk.arguments, len(arguments) - 1)]
    if walk.arguments >= len(arguments) and not last["many"]:
        return Next(typed=typed)
    return _values(last, "", typed, walk.given)


def _values(what: Mapping[str, Any], prefix: str, typed: str, given: Mapping[str, str]) -> Next:
    found = [(value, "") for value in what.get("values", ())]
    return Next(_fitting(found, typed), what.get("kind"), prefix, typed, given)


def _flags(walk: _Walk, typed: str) -> tuple[Candidate, ...]:
    """The long flags; one that was given comes again only where it may be repeated."""
    found = [
        (flag, option["help"])
        for option in walk.command.get("options", ())
        if option["many"] or option["key"] not in walk.used
        for flag in option["flags"]
        if flag.startswith("--")
    ]
    return _fitting(found, typed)


def _option(command: Command, flag: str) -> Mapping[str, Any] | None:
    options: Sequence[Mapping[str, Any]] = command.get("options", ())
    return next((option for option in options if flag in option["flags"]), None)


def _fitting(found: Sequence[Candidate], typed: str) -> tuple[Candidate, ...]:
    return tuple(candidate for candidate in found if candidate[0].startswith(typed))


def cut_for_bash(prefix: str, typed: str, breaks: str) -> str:
    """What bash has before the word that it replaces: it begins words anew after characters of `breaks`."""
    word = prefix + typed
    last = max((word.rfind(char) for char in ":=" if char in breaks), default=-1)
    return word[: last + 1]
