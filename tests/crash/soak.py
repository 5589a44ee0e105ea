"""`python -m tests.crash.soak SEED KILLS [--at-once N] [--of-each N]`: many kills in rooms of their own.

The kills are split over runs. Each run has its own seed, programs and folder, so that several go on at
once without knowing of each other, and one that fails can be played again by itself: its seed is printed,
its folder is kept, and the others go on. Exits with 1 when something did not hold.
"""

from __future__ import annotations

import argparse
import asyncio
import multiprocessing
import shutil
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path

from tests.crash.real_kills import kill_many

OF_EACH = 50
"""Kills of one run: few enough to play again, enough for ten threads in one room."""

MOST_FINDINGS = 10
"""Then nothing new is begun: what is wrong is wrong everywhere."""


@dataclass(frozen=True)
class Outcome:
    """What came of a run. `finding` says what did not hold, and where its folder is."""

    seed: int
    killed: dict[str, int]
    seconds: float
    finding: str | None = None


def play(seed: int, kills: int) -> Outcome:
    """One run, in a folder that is kept when something does not hold."""
    folder = Path(tempfile.mkdtemp(prefix=f"process-soak-{seed}-"))
    began = time.monotonic()
    killed: dict[str, int] = {}

    def say(line: str) -> None:
        print(f"seed {seed}: {line}", flush=True)

    try:
        asyncio.run(kill_many(folder, seed, kills, say, killed))
    except Exception:  # noqa: BLE001 - whatever it is, it is a finding
        finding = f"{traceback.format_exc()}its folder: {folder}"
        return Outcome(seed, killed, time.monotonic() - began, finding)
    shutil.rmtree(folder)
    return Outcome(seed, killed, time.monotonic() - began)


def soak(seed: int, kills: int, at_once: int, of_each: int = OF_EACH) -> list[Outcome]:
    """Runs until there were so many kills; one that fails is made up for by a further one, up to a limit."""
    outcomes: list[Outcome] = []
    began = time.monotonic()
    with ProcessPoolExecutor(at_once, multiprocessing.get_context("spawn")) as pool:
        running: dict[Future[Outcome], int] = {}
        while True:
            left = kills - _count(outcomes) - sum(running.values())
            given_up = sum(outcome.finding is not None for outcome in outcomes) >= MOST_FINDINGS
            for share in _shares(0 if given_up else left, of_each):
                if len(running) == at_once:
                    break
                running[pool.submit(play, seed, share)] = share
                seed += 1
            if not running:
                return outcomes
            for done in wait(running, return_when=FIRST_COMPLETED).done:
                del running[done]
                outcomes.append(done.result())
                print(_line(outcomes[-1]), flush=True)
                so_far = f"{_count(outcomes)} of {kills} kills after {time.monotonic() - began:.0f} s"
                print(so_far, flush=True)


def _shares(kills: int, of_each: int) -> Iterator[int]:
    while kills > 0:
        yield min(kills, of_each)
        kills -= of_each


def _count(outcomes: Iterable[Outcome]) -> int:
    return sum(sum(outcome.killed.values()) for outcome in outcomes)


def _line(outcome: Outcome) -> str:
    line = f"seed {outcome.seed}: {_kills(outcome.killed)} in {outcome.seconds:.0f} s"
    if outcome.finding is None:
        return f"{line}, and everything held"
    return f"{line}, and this did not hold:\n{outcome.finding}"


def _kills(killed: dict[str, int]) -> str:
    return ", ".join(f"{what} {count}" for what, count in sorted(killed.items())) or "nothing killed"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.crash.soak", description=__doc__)
    parser.add_argument("seed", type=int, help="of the first run; the next ones count up")
    parser.add_argument("kills", type=int, help="in all")
    parser.add_argument("--at-once", type=int, default=1, metavar="N", help="runs beside each other")
    parser.add_argument("--of-each", type=int, default=OF_EACH, metavar="N", help="kills of one run")
    options = parser.parse_args()
    began = time.monotonic()
    outcomes = soak(options.seed, options.kills, options.at_once, options.of_each)
    killed: Counter[str] = Counter()
    for outcome in outcomes:
        killed.update(outcome.killed)
    failed = [outcome.seed for outcome in outcomes if outcome.finding is not None]
    print(
        f"{sum(killed.values())} kills from seed {options.seed} on ({_kills(killed)}), {len(outcomes)} runs, "
        f"{time.monotonic() - began:.0f} s: "
        + (f"{len(failed)} findings, seeds {failed}" if failed else "everything held")
    )
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
