"""`python -I -S launcher.py FD COMMAND…`: runs a command to its end and writes what it cost to FD.

A small program of its own, because Linux counts the memory of whoever forks as the peak of what it starts.
The line it writes: seconds of wall time, seconds of processor time, peak memory in KiB, exit status.
"""

import os
import sys
import time

result, command = int(sys.argv[1]), sys.argv[2:]
os.set_inheritable(result, False)
started = time.perf_counter()
pid = os.fork()
if pid == 0:
    try:
        os.execvp(command[0], command)
    except OSError as error:
        print(error, file=sys.stderr)
        os._exit(127)
_, status, used = os.wait4(pid, 0)
wall = time.perf_counter() - started
line = f"{wall} {used.ru_utime + used.ru_stime} {used.ru_maxrss} {os.waitstatus_to_exitcode(status)}"
os.write(result, line.encode())
