"""The machine of a local room loses its power, before any step of its log of rows: see docs/local-room.md.

`CRASH_SEED=123 CRASH_MOMENTS=50000 pytest tests/crash/test_power_loss.py` plays other ones. A failure names
the seed of the life and the moment in it.
"""

from __future__ import annotations

import asyncio
import itertools
import os
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from unittest.mock import patch

import pytest

from process_agent.room_server.datasets import append_log, log_records
from process_agent.room_server.datasets.append_log import AppendLog
from process_agent.room_server.datasets.log_records import ROWS
from process_agent.room_server.datasets.names import Place, TableKey
from process_agent.room_server.toolkit import ToolError
from tests.crash.virtual_disk import VirtualDisk

SEED = int(os.environ.get("CRASH_SEED", "20260501"))
MOMENTS = int(os.environ.get("CRASH_MOMENTS", "10000"))
FOLDER = Path("/log")
KEY = TableKey(Place((), "main"), "t")


@dataclass
class Told:
    """What was said to the log, and what it answered."""

    added: dict[int, bytes] = field(default_factory=dict)
    stored: set[int] = field(default_factory=set)
    needed: int = 1


@dataclass(frozen=True)
class Moment:
    """A step before which the power is lost."""

    disk: VirtualDisk
    added: dict[int, bytes]
    stored: frozenset[int]
    needed: int


@pytest.mark.timeout(180 + MOMENTS // 50)
def test_what_was_answered_is_there_when_the_machine_starts_again() -> None:
    lost = 0
    with patch.multiple(append_log, FILE_BYTES=600, IDLE_BYTES=300):
        for seed in itertools.count(SEED):
            random = Random(seed)
            for number, moment in enumerate(asyncio.run(live(random))):
                lost += 1
                try:
                    start_again(moment, random)
                except AssertionError as error:
                    raise AssertionError(f"seed {seed}, moment {number}: {error}") from error
            if lost >= MOMENTS:
                break


async def live(random: Random) -> list[Moment]:
    """Write, wait, give up and begin anew, with a disk that is sometimes full; each step that was taken."""
    disk, told, moments = VirtualDisk(), Told(), list[Moment]()

    def remember() -> None:
        moments.append(Moment(disk.copied(), dict(told.added), frozenset(told.stored), told.needed))

    disk.on_step = remember
    log = AppendLog(FOLDER, disk)
    assert list(log.read()) == []
    for _ in range(random.randint(5, 25)):
        action = random.choice(["add"] * 5 + ["trim", "trim", "full", "again"])
        if action == "add":
            await asyncio.gather(*(add(log, told, random) for _ in range(random.randint(1, 4))))
        elif action == "trim":
            told.needed = random.randint(told.needed, log.next_position)
            await log.trim(told.needed)
        elif action == "full":
            disk.refusals = 1
        else:
            await log.close(told.needed)
            disk.refusals = 0
            log = AppendLog(FOLDER, disk)
            found = check(log, Moment(disk, told.added, frozenset(told.stored), told.needed))
            told = Told(found, set(found), min(told.needed, log.next_position))  # positions may begin anew
    await log.close(told.needed)
    remember()
    return moments


async def add(log: AppendLog, told: Told, random: Random) -> None:
    payload = random.randbytes(random.randint(0, 200))
    position, stored = log.add(ROWS, KEY, payload)
    told.added[position] = payload
    try:
        await stored
    except ToolError:
        told.stored.discard(position)
    else:
        told.stored.add(position)


def start_again(moment: Moment, random: Random) -> None:
    """Whatever the loss of power left, all is there, and the log goes on."""
    disk = moment.disk.after_power_loss(random)
    log = AppendLog(FOLDER, disk)
    found = check(log, moment)
    if random.random() < 0.05:
        asyncio.run(go_on(log, disk, found))


def check(log: AppendLog, moment: Moment) -> dict[int, bytes]:
    """What the log reads is what was said, and all that was answered and is needed."""
    records = list(log.read())
    found = {record.position: record.payload for record in records}
    assert [record.position for record in records] == sorted(found), "order"
    assert found.items() <= moment.added.items(), "nothing that nobody said"
    missing = {each for each in moment.stored - found.keys() if each >= moment.needed}
    assert not missing, f"{missing} were answered"
    return found


async def go_on(log: AppendLog, disk: VirtualDisk, found: dict[int, bytes]) -> None:
    position, stored = log.add(ROWS, KEY, b"after")
    await stored
    await log.close(0)
    again = {record.position: record.payload for record in AppendLog(FOLDER, disk).read()}
    assert again == {**found, position: b"after"}


def test_a_damaged_record_is_noticed() -> None:
    """The check would fail if the log took what was never wholly written."""
    record = log_records.encode(log_records.Record(ROWS, 1, KEY, b"x" * 50))
    assert list(log_records.decode(record[:-20] + bytes(20))) == []
