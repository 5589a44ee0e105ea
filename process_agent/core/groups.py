"""The end of a table whose rows belong to groups, as those of a thread do to turns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from process_agent.core.room import ArrowTable, TableRef


@dataclass(frozen=True, slots=True)
class GroupsAsked:
    """What one needs of the end of a table who goes on there, and where its last groups begin.

    `group`, `kind` and `number` are columns: the group of a row or null; what the row is; its number, which
    grows unless several write the table, and without which a row does not count.
    """

    columns: tuple[str, ...]
    """Those of the rows that are given."""
    whole: int
    """A table of no more rows is given whole."""
    rows: int
    """How many of the last rows are looked into. Given are, of these, those of groups without a row of a kind
    in `over`, those of a kind in `wanted`, of each kind in `latest` the one with the greatest number, those
    with the greatest value of a column in `greatest`, those without a kind, and with each of them the one
    that ends its group.
    """
    group: str
    kind: str
    number: str
    wanted: tuple[str, ...] = ()
    over: tuple[str, ...] = ()
    latest: tuple[str, ...] = ()
    greatest: tuple[str, ...] = ()
    groups: int = 0
    """How many of the last groups are looked for; none where it is 0. Rows of a kind in `joining` can lie
    among those of the groups before theirs, and none begins with them. A row of the kind `cut` counts as
    gone, and so does what is before it."""
    joining: tuple[str, ...] = ()
    cut: str = ""
    first: int = 0
    """How many rows are given from where they begin."""
    most: int = 0
    """How many rows are gone back for them."""


@dataclass(frozen=True, slots=True)
class LastGroups:
    """Where the last groups begin, the first `rows` of them, and whether all their numbers grow. There are
    others before them (`full`), or a row that cuts them off (`cut`), or neither was seen.
    """

    start: int
    rows: ArrowTable
    ordered: bool
    full: bool
    cut: bool


@dataclass(frozen=True, slots=True)
class EndFound:
    """What was asked of the end of a table that has `total` rows; those from `first` on were looked into.
    `places` are those of the rows that are given, counted from 0.
    """

    total: int
    first: int
    whole: bool
    rows: ArrowTable
    places: Sequence[int]
    groups: LastGroups | None = None


@runtime_checkable
class ByGroups(Protocol):
    """Tables whose end can be read with the groups in it, in one call, in some rooms."""

    async def end(self, table: TableRef, asked: GroupsAsked) -> EndFound | None:
        """The end of a table; None when this room cannot."""
        ...
