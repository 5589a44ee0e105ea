"""A small program that owns a child process and everything below it, on Linux.

    python -I -S guard.py PARENT_PID COMMAND [ARGUMENT …]

Codex starts each command in a session of its own, so that a process group does not reach them. This program
is the subreaper of the whole tree: whatever loses its parent becomes its child. It ends the tree

- when its parent dies, however (`prctl(PR_SET_PDEATHSIG)`), or on SIGUSR1: the command gets `GRACE` seconds
  to end by itself (its standard input is closed by then), then everything is killed;
- when the command ends: whatever it left behind is killed.

SIGTERM, SIGINT and SIGHUP are passed on to the command. The exit status is the command's. Standard library
only; nothing of this package is imported.
"""

import contextlib
import ctypes
import os
import resource
import signal
import sys
import time

GRACE = 0.7
"""Seconds the command has for its own clean-up after the parent died."""

REAP = 0.8
"""Seconds to wait for killed processes; one that is stuck in the kernel must not hold the guard."""

_SET_PDEATHSIG = 1
_SET_CHILD_SUBREAPER = 36
_ORPHANED = signal.SIGUSR1
_PASSED_ON = {signal.SIGTERM, signal.SIGINT, signal.SIGHUP}
_AWAITED = {*_PASSED_ON, _ORPHANED, signal.SIGCHLD}


def _prctl(option: int, value: int) -> None:
    if ctypes.CDLL(None, use_errno=True).prctl(option, value, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl failed")


def _start(command: list[str]) -> int:
    pid = os.fork()
    if pid:
        return pid
    try:
        _prctl(_SET_PDEATHSIG, signal.SIGKILL)
        for ignored_by_python in (signal.SIGPIPE, signal.SIGXFSZ):
            signal.signal(ignored_by_python, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _AWAITED)
        os.execvp(command[0], command)  # noqa: S606 - a shell is what we do not want
    except OSError as error:
        os.write(2, f"cannot start {command[0]}: {error.strerror}\n".encode())
    os._exit(127)


def _children() -> dict[int, list[int]]:
    """All processes of the machine by their parent's id."""
    found: dict[int, list[int]] = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            with (
                contextlib.suppress(OSError, ValueError, IndexError),
                open(f"/proc/{name}/stat", "rb") as stat,
            ):
                parent = int(stat.read().rpartition(b")")[2].split()[1])
                found.setdefault(parent, []).append(int(name))
    return found


def _kill_descendants() -> None:
    tree = _children()
    below = list(tree.get(os.getpid(), ()))
    while below:
        pid = below.pop()
        below += tree.get(pid, ())
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(pid, signal.SIGKILL)


def _reap(command: int) -> int | None:
    """Collect what has ended. Returns the command's wait status if it was among it."""
    found = None
    with contextlib.suppress(ChildProcessError):
        while True:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                break
            if pid == command:
                found = status
    return found


def _wait(command: int) -> int:
    """Until the command ends or has to. Returns its wait status."""
    deadline: float | None = None
    while True:
        timeout = 3600.0 if deadline is None else max(0.0, deadline - time.monotonic())
        received = signal.sigtimedwait(_AWAITED, timeout)
        status = _reap(command)
        if status is not None:
            return status
        if received is not None and received.si_signo in _PASSED_ON:
            os.kill(command, received.si_signo)
        elif received is not None and received.si_signo == _ORPHANED:
            deadline = deadline or time.monotonic() + GRACE
        if deadline is not None and time.monotonic() >= deadline:
            return signal.SIGKILL


def _clear() -> None:
    """Kill and collect until nothing is left, or `REAP` is over."""
    end = time.monotonic() + REAP
    while time.monotonic() < end:
        _kill_descendants()
        try:
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        except ChildProcessError:
            return
        signal.sigtimedwait({signal.SIGCHLD}, 0.02)


def main(arguments: list[str]) -> int:
    """Run the command and return the exit status to leave with."""
    parent, command = int(arguments[0]), arguments[1:]
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_BLOCK, _AWAITED)
    _prctl(_SET_PDEATHSIG, _ORPHANED)
    _prctl(_SET_CHILD_SUBREAPER, 1)
    if os.getppid() != parent:
        return 0
    pid = _start(command)
    nothing = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):  # the pipes belong to the command: their other ends must see it close them
        os.dup2(nothing, stream)
    status = _wait(pid)
    _clear()
    if os.WIFSIGNALED(status):
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _AWAITED)
        os.kill(os.getpid(), os.WTERMSIG(status))
    return os.waitstatus_to_exitcode(status) & 0xFF


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
