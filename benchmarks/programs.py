"""Running programs and reading what they cost. Linux only: it reads /proc."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from process_agent import config

PASSED_ON = ("PATH", "LANG", "LC_ALL", "TMPDIR", "SYSTEMROOT")
"""Variables of ours that measured programs get; among those they do not get is PYTHONDONTWRITEBYTECODE."""

STOP_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Cost:
    """What a finished program cost."""

    wall_ms: float
    cpu_ms: float
    peak_mb: float


def environment(home: Path, extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """A clean environment with this home."""
    return {**config.environment_for_child(PASSED_ON), "HOME": str(home), **(extra or {})}


def script(name: str) -> str:
    """A console script of the environment that runs this."""
    return str(Path(sys.executable).parent / name)


def run(command: Sequence[str], env: Mapping[str, str]) -> Cost:
    """Run a program to its end and say what it cost, its children included. Raises when it fails."""
    started = time.perf_counter()
    with subprocess.Popen(
        command, env=dict(env), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    ) as child:
        assert child.stderr is not None
        errors = child.stderr.read()
        _, status, used = os.wait4(child.pid, 0)
        wall = time.perf_counter() - started
        child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode != 0:
        raise RuntimeError(f"{' '.join(command)} ended with {child.returncode}: {errors.decode()[-2000:]}")
    return Cost(wall * 1000, (used.ru_utime + used.ru_stime) * 1000, used.ru_maxrss / 1024)


@contextmanager
def running(
    command: Sequence[str], env: Mapping[str, str], folder: Path, log: Path
) -> Iterator[subprocess.Popen[bytes]]:
    """A program that runs while the block does; what it prints goes to `log`."""
    with log.open("ab") as output:
        child = subprocess.Popen(
            command, env=dict(env), cwd=folder, stdin=subprocess.PIPE, stdout=output, stderr=output
        )
        try:
            yield child
        finally:
            if child.stdin is not None:
                child.stdin.close()
            child.terminate()
            try:
                child.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()


def cpu_ms(pid: int) -> float:
    """Processor time of all living threads of a process so far."""
    total = 0
    for stat in Path(f"/proc/{pid}/task").glob("*/schedstat"):
        try:
            total += int(stat.read_text().split()[0])
        except (FileNotFoundError, ProcessLookupError):
            continue  # the thread ended while we looked
    return total / 1e6


def resident_mb(pid: int) -> float:
    """Resident memory of a process, without its children."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    raise RuntimeError(f"process {pid} is gone")


def machine() -> str:
    """A line about the machine and how busy it is now."""
    one, five, _ = os.getloadavg()
    cores = os.cpu_count() or 1
    noisy = ""
    if one > cores * 0.75:
        noisy = " **The machine was busy with other work, so trust the ratios more than the times.**"
    return (
        f"{cores} cores, Python {sys.version.split()[0]}, {sys.platform}; load average {one:.1f} over one "
        f"minute and {five:.1f} over five at the start.{noisy}"
    )
