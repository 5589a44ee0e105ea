"""Our program for tests, forked from a process that has loaded its modules.

A command that enters a room loads modules for a second and then works for a tenth of one; hundreds of them
would be most of the time of the whole suite. A fork has an environment, a working folder, files, arguments
and an end of its own, as a program that was started.
"""

from __future__ import annotations

import gc
import json
import os
import pkgutil
import selectors
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from functools import cache
from importlib import import_module
from pathlib import Path
from threading import Lock
from typing import Final

from tests.fakes.forked import Forked

LOADED: Final = ("cli", "rooms", "viewer", "threads", "agent", "channels")
LONGEST: Final = 1 << 20
"""Bytes of a request."""

ONE_THREAD: Final = {"OPENBLAS_NUM_THREADS": "1", "JE_ARROW_MALLOC_CONF": "background_thread:false"}
"""Has libraries start no threads of their own, which a fork would not have."""


HOUSE: Final = str(Path(__file__).parents[2])
BEGIN: Final = """
import sys
sys.path.insert(0, sys.argv[1])
from tests.fakes.forking import main
main(int(sys.argv[2]))
"""
"""Not a module that is run: usage texts would call the program by its name."""


class Forks:
    """The process that forks, one for all tests of a worker; it ends with the worker."""

    def __init__(self) -> None:
        self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self._loaded = subprocess.Popen(
                [sys.executable, "-P", "-c", BEGIN, HOUSE, str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                env={"PATH": os.environ["PATH"], "HOME": "/", "LANG": "C.UTF-8", **ONE_THREAD},
            )

    def start(
        self, words: Sequence[str], environment: Mapping[str, str], folder: Path, log: Path | None = None
    ) -> Forked:
        """Begin a command with pipes as its files; what it says on stderr is added to a `log`."""
        (stdin, to), *pipes = [os.pipe() for _ in range(4)]
        theirs = [stdin, *(writes for _, writes in pipes)]
        if log is not None:
            os.close(theirs[2])
            theirs[2] = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        told = json.dumps([list(words), dict(environment), str(folder)]).encode()
        socket.send_fds(self._control, [told], theirs)
        for end in theirs:
            os.close(end)
        return Forked(words, to, *(reads for reads, _ in pipes))


_one_at_a_time = Lock()


def forks() -> Forks:
    """That of this worker; programs are started in threads."""
    with _one_at_a_time:
        return _forks()


@cache
def _forks() -> Forks:
    return Forks()


class Loaded:
    """The other side: forks for each request and tells of each fork what it is and how it ended."""

    def __init__(self, control: socket.socket) -> None:
        self._control = control
        self._reports: dict[int, int] = {}

    def serve(self) -> bool:
        """Fork until nobody can ask any more; True in a fork, which is to become the program."""
        awoken, wake = os.pipe()
        for end in (awoken, wake):
            os.set_blocking(end, False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(wake)
        with selectors.DefaultSelector() as selector:
            selector.register(self._control, selectors.EVENT_READ)
            selector.register(awoken, selectors.EVENT_READ)
            while True:
                for key, _ in selector.select():
                    if key.fd == awoken:
                        os.read(awoken, 4096)
                        self._reap()
                        continue
                    told, files, _, _ = socket.recv_fds(self._control, LONGEST, 4)
                    if not told:
                        return False
                    if self._fork(files):
                        become(json.loads(told), files[:3])
                        return True

    def _fork(self, files: Sequence[int]) -> bool:
        *_, report = files
        child = os.fork()
        if child == 0:
            return True
        for end in files[:3]:
            os.close(end)
        os.write(report, f"{child} ".encode())
        self._reports[child] = report
        return False

    def _reap(self) -> None:
        while self._reports:
            child, status = os.waitpid(-1, os.WNOHANG)
            if child == 0:
                return
            report = self._reports.pop(child)
            os.write(report, str(os.waitstatus_to_exitcode(status)).encode())
            os.close(report)


def become(told: tuple[list[str], dict[str, str], str], stdio: Sequence[int]) -> None:
    """Take arguments, environment, folder and files from a request, and nothing else from before."""
    sys.argv, environment, folder = told
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    for number, end in enumerate(stdio):
        os.dup2(end, number)
    os.closerange(3, 256)
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)


def load() -> None:
    """Import what commands import."""
    import_module("process_agent.io.loading").load("meshagent.api.room_server_client")
    for name in LOADED:
        package = import_module(f"process_agent.{name}")
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            import_module(module.name)
    gc.freeze()


def main(descriptor: int) -> None:
    """Load and serve; in a fork, be the program."""
    load()
    if Loaded(socket.socket(fileno=descriptor)).serve():
        from process_agent.cli import main as program

        program()
