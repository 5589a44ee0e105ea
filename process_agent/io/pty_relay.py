"""A small program that gives another one a terminal, and passes on what is said between that and its pipes.

    python -I -S pty_relay.py COMMAND [ARGUMENT …]

The terminal is made where this runs, so that inside a sandbox it is the sandbox's. It echoes nothing and has
no size to speak of. Its line discipline is what makes `\\x03` an interrupt and `\\x04` an end of input. The
exit status is the command's. Standard library only; nothing of this package is imported.
"""

import os
import pty
import select
import sys
import termios

_READ = 65_536


def _quiet(terminal: int) -> None:
    """What is typed is not written back, and lines end as programs wrote them."""
    modes = termios.tcgetattr(terminal)
    modes[3] &= ~termios.ECHO
    modes[1] &= ~termios.ONLCR
    termios.tcsetattr(terminal, termios.TCSANOW, modes)


def _write(to: int, data: bytes) -> None:
    while data:
        data = data[os.write(to, data) :]


def _relay(terminal: int) -> None:
    """Until the terminal is closed: nobody has it open any more."""
    sources = [terminal, 0]
    while True:
        ready, _, _ = select.select(sources, [], [])
        if 0 in ready:
            data = os.read(0, _READ)
            if not data:
                sources.remove(0)
                data = b"\x04"
            _write(terminal, data)
        if terminal in ready:
            try:
                data = os.read(terminal, _READ)
            except OSError:  # Linux's word for the end
                return
            if not data:
                return
            _write(1, data)


def main(command: list[str]) -> int:
    """Run the command and return the exit status to leave with."""
    master, slave = pty.openpty()
    _quiet(slave)
    pid = os.fork()
    if pid == 0:
        try:
            os.close(master)
            os.login_tty(slave)
            os.execvp(command[0], command)  # noqa: S606 - a shell is what we do not want
        except OSError as error:
            os.write(2, f"cannot start {command[0]}: {error.strerror}\n".encode())
        os._exit(127)
    os.close(slave)
    _relay(master)
    status = os.waitpid(pid, 0)[1]
    return os.waitstatus_to_exitcode(status) & 0xFF if os.WIFEXITED(status) else 128 + os.WTERMSIG(status)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
