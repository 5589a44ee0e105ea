"""Questions to an indexed table are answered as without, whatever was written, folded and refreshed."""

from __future__ import annotations

import asyncio
import random
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from process_agent.room_server.datasets import indexes, upkeep
from process_agent.room_server.datasets.maintaining import Maintaining
from process_agent.room_server.datasets.names import Place, TableKey
from process_agent.room_server.datasets.reading import Selection, count_rows
from process_agent.room_server.datasets.tables import Tables

KEY = TableKey(Place(("a",)), "t")
COLUMNS: list[Any] = [("n", pa.int64()), ("item", pa.string()), ("type", pa.string())]
SCHEMA = pa.schema(COLUMNS)
STEPS = 60
CHANGED = "changed"


def rows(numbers: range) -> pa.Table:
    columns = {
        "n": list(numbers),
        "item": [f"i{n % 7}" for n in numbers],
        "type": [f"t{n % 3}" for n in numbers],
    }
    return pa.table(columns, schema=SCHEMA)


class Checked:
    """A table beside what it has to have: numbers, and the item of each."""

    def __init__(self, root: Path, chance: random.Random) -> None:
        self.tables = Tables(root)
        self.maintaining = Maintaining(self.tables)
        self.chance = chance
        self.items: dict[int, str] = {}
        self.next = 0

    async def insert(self) -> None:
        numbers = range(self.next, self.next + self.chance.randint(1, 9))
        self.next = numbers.stop
        await self.tables.insert(KEY, rows(numbers))
        self.items.update({n: f"i{n % 7}" for n in numbers})

    async def index(self) -> None:
        """Both at once, and rows that come meanwhile."""
        kinds = {"item": "BTREE", "type": "BITMAP"}
        building = [
            self.maintaining.create_index(KEY, {"column": c, "index_type": kind, "replace": True})
            for c, kind in kinds.items()
        ]
        await asyncio.gather(*building, self.insert())

    async def optimize(self) -> None:
        target = self.chance.choice([10, 100, 1_000])
        config = {"target_rows_per_fragment": target, "cleanup_old_versions": True, "retain_versions": 1}
        await self.maintaining.optimize(KEY, config)

    def _some(self) -> range:
        start = self.chance.randint(0, self.next)
        return range(start, min(start + 5, self.next))

    async def delete(self) -> None:
        some, engine = self._some(), self.tables.engine
        await self.tables.write(KEY, partial(_call, engine.delete, (_where(some),)))
        for number in some:
            self.items.pop(number, None)

    async def update(self) -> None:
        some, engine = self._some(), self.tables.engine
        await self.tables.write(KEY, partial(_call, engine.update, (_where(some), {"item": CHANGED})))
        self.items.update({n: CHANGED for n in some if n in self.items})

    async def merge(self) -> None:
        some, engine = self._some(), self.tables.engine
        await self.tables.write(KEY, partial(_call, engine.merge, ("n", rows(some))))
        self.items.update({n: f"i{n % 7}" for n in some})

    async def check(self) -> None:
        dataset = await self.tables.open(KEY)
        for item in ("i1", CHANGED):
            found = count_rows(dataset, Selection(where=f"item = '{item}'"))
            assert found == sum(each == item for each in self.items.values())
        either = count_rows(dataset, Selection(where="item = 'i2' OR type = 't1'"))
        assert either == sum(item == "i2" or n % 3 == 1 for n, item in self.items.items())


def _where(numbers: range) -> str:
    return f"n >= {numbers.start} AND n < {numbers.stop}"


def _call(method: Any, arguments: tuple[Any, ...], path: Path, label: str, *, watched: bool) -> Any:
    return method(path, label, *arguments, watched=watched)


@pytest.mark.parametrize("seed", [1, 2, 3])
async def test_answers_are_those_of_a_plain_list(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    monkeypatch.setattr(upkeep, "TIERS", (40, 400, 4_000))
    monkeypatch.setattr(upkeep, "FOLD_AT", 4)
    monkeypatch.setattr(upkeep, "EVERY", 3)
    monkeypatch.setattr(indexes, "FRESH_BYTES", 1)  # many parts
    checked = Checked(tmp_path, random.Random(seed))
    await checked.tables.create(KEY, SCHEMA.empty_table(), "create")
    others = [checked.optimize, checked.index, checked.delete, checked.update, checked.merge]
    for _ in range(STEPS):
        await checked.chance.choice([checked.insert] * 4 + others)()
        await checked.check()
    await checked.tables.close()
