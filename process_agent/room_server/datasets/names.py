"""Names people choose, as file names nobody can abuse. Pure.

A table is keyed by namespace, branch and name. On disk, below the room's datasets folder:

    n.<part>/…/b.<branch>/t.<name>      each part encoded, so that no name can leave its folder

The encoding keeps `a-z 0-9 _ -` and writes every other byte of the UTF-8 text as `=hh`. It is reversible,
free of separators and dots, and the same on file systems that ignore case.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from process_agent.room_server.toolkit import ToolError

MAIN: Final = "main"
"""The branch that is meant when none is named."""

MAX_ENCODED: Final = 200
"""Characters of one encoded name; file systems stop at 255 bytes."""

MAX_DEPTH: Final = 12
"""Parts of a namespace."""

_KEPT: Final = frozenset(b"abcdefghijklmnopqrstuvwxyz0123456789_-")
_ESCAPE: Final = re.compile(r"=([0-9a-f]{2})")


def encode_name(name: str, what: str = "name") -> str:
    """The file name part for a name. Raises `ToolError` for an empty, unencodable or too long one."""
    if not name:
        raise ToolError(f"the {what} must not be empty")
    try:
        raw = name.encode("utf-8")
    except UnicodeEncodeError as error:
        raise ToolError(f"the {what} is not valid Unicode text") from error
    encoded = "".join(chr(byte) if byte in _KEPT else f"={byte:02x}" for byte in raw)
    if len(encoded) > MAX_ENCODED:
        raise ToolError(f"the {what} is too long: {name[:40]!r}…")
    return encoded


def decode_name(encoded: str) -> str:
    """The name `encode_name` was given."""
    raw = _ESCAPE.sub(lambda found: chr(int(found.group(1), 16)), encoded)
    return raw.encode("latin-1").decode("utf-8")


@dataclass(frozen=True, slots=True)
class Place:
    """A namespace on a branch: a folder of tables."""

    namespace: tuple[str, ...] = ()
    branch: str = MAIN

    @classmethod
    def of(cls, namespace: object, branch: object) -> Place:
        """From the fields of a request: a list of strings or null, a string or null."""
        if namespace is None:
            parts: Sequence[object] = ()
        elif isinstance(namespace, list):
            parts = namespace
        else:
            raise ToolError("namespace must be a list of strings or null")
        if len(parts) > MAX_DEPTH:
            raise ToolError(f"a namespace has at most {MAX_DEPTH} parts")
        if branch is not None and not isinstance(branch, str):
            raise ToolError("branch must be a string or null")
        return cls(tuple(_text(part) for part in parts), branch or MAIN)

    def namespace_folder(self, root: Path) -> Path:
        """The folder that holds the branches and inner namespaces of this namespace."""
        return root.joinpath(*(f"n.{encode_name(part, 'namespace')}" for part in self.namespace))

    def folder(self, root: Path) -> Path:
        """The folder that holds the tables."""
        return self.namespace_folder(root) / f"b.{encode_name(self.branch, 'branch name')}"

    def on(self, branch: str) -> Place:
        """The same namespace on another branch."""
        return Place(self.namespace, branch)


@dataclass(frozen=True, slots=True)
class TableKey:
    """One table."""

    place: Place
    name: str

    def path(self, root: Path) -> Path:
        """The folder of its Lance files."""
        return self.place.folder(root) / f"t.{encode_name(self.name, 'table name')}"

    @property
    def label(self) -> str:
        """How messages name it: `agents.bot.threads.index`, with `@branch` off the main branch."""
        text = ".".join((*self.place.namespace, self.name))
        return text if self.place.branch == MAIN else f"{text}@{self.place.branch}"


def _text(part: object) -> str:
    if not isinstance(part, str):
        raise ToolError("namespace must be a list of strings or null")
    return part
