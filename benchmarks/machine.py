"""What kind of machine measures, and how busy and fast it is meanwhile: shared ones change within an hour."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

ADDITIONS: Final = 1_000_000
"""What is timed to know how fast the machine is: so many additions in plain Python."""

STEADY: Final = 1.5
"""Between slowest and fastest moment, beyond which times of different sections are not compared."""


@dataclass(frozen=True, slots=True)
class Moment:
    """The load average, to which the measurements themselves add about 1, and what the additions took."""

    load: float
    additions_ms: float


def moment() -> Moment:
    """How it is now: the fastest of five."""
    return Moment(os.getloadavg()[0], min(_additions() for _ in range(5)))


def _additions() -> float:
    began, total = time.perf_counter(), 0
    for number in range(ADDITIONS):
        total += number
    return (time.perf_counter() - began) * 1000


def about(moments: Sequence[Moment]) -> str:
    """A line about the machine from the start to the end of what was measured."""
    cores = os.cpu_count() or 1
    loads = [moment.load for moment in moments]
    speeds = [moment.additions_ms for moment in moments]
    unsteady = max(loads) > cores or max(speeds) > STEADY * min(speeds)
    noisy = " **The machine was busy with other work: trust the ratios and the minima, not the times.**"
    return (
        f"{cores} cores, Python {sys.version.split()[0]}, {sys.platform}; load average {min(loads):.1f} to "
        f"{max(loads):.1f} while measuring; a million additions in Python took {min(speeds):.0f} to "
        f"{max(speeds):.0f} ms.{noisy if unsteady else ''}"
    )
