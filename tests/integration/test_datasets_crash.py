"""Tables through kills and long use."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa

from process_agent.room_server.datasets import DatasetToolkit, upkeep
from tests.fakes.room_tools import call, read, write

ROOT = Path(__file__).parents[2]
WRITER = """
import asyncio, sys
from pathlib import Path
import pyarrow as pa
from process_agent.room_server.datasets import DatasetToolkit
from tests.fakes.room_tools import write

async def main():
    tables = DatasetToolkit(Path(sys.argv[1]))
    n = int(sys.argv[2])
    while True:
        for tool, more in (("insert", {}), ("merge", {"on": "n"})):
            await write(tables, tool, {"table": "t", **more}, pa.table({"n": [n]}))
            print(n, flush=True)
            n += 1

asyncio.run(main())
"""


BUSY_WRITER = """
import asyncio, sys
from pathlib import Path
import pyarrow as pa
from process_agent.room_server.datasets import DatasetToolkit, append_log, folding, tails
from tests.fakes.room_tools import write

folding.LOOK_SECONDS = tails.IDLE_SECONDS = 0.005
tails.AGE_SECONDS = 0.05
tails.FOLD_ROWS = 16
append_log.FILE_BYTES = append_log.IDLE_BYTES = 20_000

async def insert(tables, name, n):
    while True:
        await write(tables, "insert", {"table": name}, pa.table({"n": [n, n + 1]}))
        print(name, n + 1, flush=True)
        n += 2

async def main():
    tables = DatasetToolkit(Path(sys.argv[1]))
    async with asyncio.TaskGroup() as group:
        for name, n in (word.split("=") for word in sys.argv[2:]):
            group.create_task(insert(tables, name, int(n)))

asyncio.run(main())
"""


def files_below(root: Path) -> int:
    return sum(1 for path in root.rglob("*") if path.is_file())


async def stored(root: Path, table: str = "t") -> list[Any]:
    tables = DatasetToolkit(root)
    try:
        parts = await read(tables, "search", {"table": table})
        return [n for part in parts for n in part["n"].to_pylist()]
    finally:
        await tables.close()


async def test_what_was_answered_is_there_after_a_kill(tmp_path: Path) -> None:
    tables = DatasetToolkit(tmp_path)
    await write(
        tables, "create_table", {"name": "t", "mode": "create"}, schema=pa.schema([("n", pa.int64())])
    )
    await tables.close()
    answered = -1
    for writes in (3, 40):
        child = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", WRITER, str(tmp_path), str(answered + 1)),
            cwd=ROOT,
            stdout=asyncio.subprocess.PIPE,
        )
        assert child.stdout is not None
        for _ in range(writes):
            answered = int(await child.stdout.readline())
        child.send_signal(signal.SIGKILL)
        rest = await child.stdout.read()
        await child.wait()
        answered = max([answered, *(int(line) for line in rest.split(b"\n")[:-1])])
        found = await stored(tmp_path)
        assert found[: answered + 1] == list(range(answered + 1))
        assert len(found) <= answered + 2  # the one that was under way may have made it
        answered = len(found) - 1


async def test_kills_at_any_moment_lose_and_double_no_row_of_many_tables(
    tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    seed = int(os.environ.get("CRASH_SEED") or random.randrange(1 << 32))
    record_property("seed", seed)
    print(f"CRASH_SEED={seed}")
    chance = random.Random(seed)
    names = [f"t{number}" for number in range(6)]
    tables = DatasetToolkit(tmp_path)
    for name in names:
        start = {"name": name, "mode": "create"}
        await write(tables, "create_table", start, schema=pa.schema([("n", pa.int64())]))
    await tables.close()
    rows = dict.fromkeys(names, 0)
    for _ in range(6):
        answered = dict(rows)
        child = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", BUSY_WRITER, str(tmp_path), *(f"{name}={rows[name]}" for name in names)),
            cwd=ROOT,
            stdout=asyncio.subprocess.PIPE,
        )
        assert child.stdout is not None
        lines = [await child.stdout.readline() for _ in range(chance.randrange(1, 400))]
        child.send_signal(signal.SIGKILL)
        lines += (await child.stdout.read()).splitlines(keepends=True)
        await child.wait()
        for line in lines:
            if line.endswith(b"\n"):
                name, n = line.decode().split()
                answered[name] = int(n) + 1
        for name in names:
            found = await stored(tmp_path, name)
            assert found == list(range(len(found))), name
            assert answered[name] <= len(found) <= answered[name] + 2, name
            rows[name] = len(found)


async def test_many_writes_stay_few_fragments_and_few_versions(tmp_path: Path) -> None:
    tables = DatasetToolkit(tmp_path)
    await write(
        tables, "create_table", {"name": "t", "mode": "create"}, schema=pa.schema([("n", pa.int64())])
    )
    for n in range(180):
        await write(tables, "insert", {"table": "t"}, pa.table({"n": [n]}))
    stats: dict[str, Any] = (await call(tables, "stats", table="t")).json["dataset"]
    versions = (await call(tables, "list_versions", table="t")).json["versions"]
    parts = await read(tables, "search", {"table": "t"})
    await tables.close()
    assert [n for part in parts for n in part["n"].to_pylist()] == list(range(180))
    assert stats["num_fragments"] <= 2 * upkeep.FOLD_AT + upkeep.EVERY
    assert len(versions) <= 2 * upkeep.KEEP_VERSIONS + 2 * upkeep.EVERY
    assert files_below(tmp_path) < 3 * len(versions) + 4 * upkeep.FOLD_AT


async def test_a_caller_who_leaves_does_not_stop_a_write_under_way(tmp_path: Path) -> None:
    tables = DatasetToolkit(tmp_path)
    await write(tables, "create_table", {"name": "t", "mode": "create"}, pa.table({"n": [100]}))
    async with asyncio.TaskGroup() as group:
        writing = [
            group.create_task(write(tables, "insert", {"table": "t"}, pa.table({"n": [n]})))
            for n in range(10)
        ]
        await call(tables, "count", table="t")
        for task in writing[::2]:
            task.cancel()
    await tables.close()
    found = await stored(tmp_path)
    assert {1, 3, 5, 7, 9} <= set(found)
    assert len(found) == len(set(found))
