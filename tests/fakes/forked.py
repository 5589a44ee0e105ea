"""A program that another process forked, with what tests use of `subprocess.Popen`."""

from __future__ import annotations

import os
import selectors
import signal
import subprocess
import time
from collections.abc import Sequence
from io import TextIOWrapper


class Forked:
    """Its files are pipes of text. It is nobody's child here: a report tells its process id and its end."""

    def __init__(self, args: Sequence[str], stdin: int, stdout: int, stderr: int, report: int) -> None:
        self.args = list(args)
        self.stdin = TextIOWrapper(os.fdopen(stdin, "wb"), "utf-8")
        self.stdout = TextIOWrapper(os.fdopen(stdout, "rb"), "utf-8")
        self.stderr = TextIOWrapper(os.fdopen(stderr, "rb"), "utf-8")
        self.returncode: int | None = None
        self._report = report
        told = b""
        while not told.endswith(b" "):
            piece = os.read(report, 1)
            if not piece:
                raise AssertionError("nothing was forked: the process that forks has ended")
            told += piece
        self.pid = int(told)

    def poll(self) -> int | None:
        """The exit code, if it has ended."""
        return self._look(0)

    def wait(self, timeout: float | None = None) -> int:
        """The exit code, when it has ended. Raises `subprocess.TimeoutExpired`."""
        code = self._look(timeout)
        if code is None:
            raise subprocess.TimeoutExpired(self.args, timeout or 0)
        return code

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def communicate(self, input: str | None = None, timeout: float | None = None) -> tuple[str, str]:
        """Write, read both outputs to their ends, and wait. Raises `subprocess.TimeoutExpired`."""
        deadline = None if timeout is None else time.monotonic() + timeout
        if not self.stdin.closed:
            with self.stdin:
                self.stdin.write(input or "")
        found = {end.fileno(): b"" for end in (self.stdout, self.stderr) if not end.closed}
        with selectors.DefaultSelector() as selector:
            for end in found:
                selector.register(end, selectors.EVENT_READ)
            while selector.get_map():
                left = None if deadline is None else deadline - time.monotonic()
                ready = selector.select(left)
                if not ready:
                    raise subprocess.TimeoutExpired(self.args, timeout or 0)
                for key, _ in ready:
                    piece = os.read(key.fd, 65536)
                    found[key.fd] += piece
                    if not piece:
                        selector.unregister(key.fd)
        out, errors = (
            "" if end.closed else found[end.fileno()].decode() for end in (self.stdout, self.stderr)
        )
        self.stdout.close()
        self.stderr.close()
        self.wait(None if deadline is None else max(0.0, deadline - time.monotonic()))
        return out, errors

    def _look(self, seconds: float | None) -> int | None:
        """Wait so long for the end."""
        with selectors.DefaultSelector() as selector:
            if self.returncode is None:
                selector.register(self._report, selectors.EVENT_READ)
                if selector.select(seconds):
                    self.returncode = int(os.read(self._report, 64))
                    os.close(self._report)
        return self.returncode
