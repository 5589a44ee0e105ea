"""Running programs and reading what they cost. Linux only: it reads /proc."""

from __future__ import annotations

import os
import subprocess
import sys
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
    reading, writing = os.pipe()
    launcher = [sys.executable, "-I", "-S", str(Path(__file__).with_name("launcher.py")), str(writing)]
    with open(reading) as line:
        try:
            done = subprocess.run(
                [*launcher, *command],
                env=dict(env),
                pass_fds=[writing],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
            )
        finally:
            os.close(writing)
        wall, cpu, peak, code = line.read().split()
    if code != "0":
        raise RuntimeError(f"{' '.join(command)} ended with {code}: {done.stderr.decode()[-2000:]}")
    return Cost(float(wall) * 1000, float(cpu) * 1000, int(peak) / 1024)


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


def whole_cpu_ms(pid: int) -> float:
    """Processor time of a process so far, ended threads included; in steps of a clock tick."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) * 1000 / os.sysconf("SC_CLK_TCK")


def resident_mb(pid: int) -> float:
    """Resident memory of a process, without its children."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    raise RuntimeError(f"process {pid} is gone")


def codex_mb(pid: int) -> float:
    """Resident memory of the Codex app-servers below a process."""
    return sum(map(resident_mb, codex_below(pid)))


def codex_below(pid: int) -> list[int]:
    """The Codex app-servers below a process."""
    parents: dict[int, list[int]] = {}
    names: dict[int, str] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            head, _, tail = stat.read_text().rpartition(")")
        except OSError:
            continue  # it ended while we looked
        child = int(stat.parent.name)
        names[child] = head.partition("(")[2]
        parents.setdefault(int(tail.split()[1]), []).append(child)
    found, below = [], [pid]
    while below:
        each = below.pop()
        below += parents.get(each, [])
        if names.get(each) == "codex":
            found.append(each)
    return found


def started_as(pid: int) -> tuple[list[str], dict[str, str]]:
    """Arguments and environment of a running process of ours."""
    arguments = Path(f"/proc/{pid}/cmdline").read_bytes().rstrip(b"\0").split(b"\0")
    entries = Path(f"/proc/{pid}/environ").read_bytes().rstrip(b"\0").split(b"\0")
    pairs = (entry.decode().partition("=") for entry in entries)
    return [part.decode() for part in arguments], {name: value for name, _, value in pairs}
