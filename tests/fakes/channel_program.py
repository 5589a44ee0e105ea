"""A channel program that a test plays: a real child process that hands its socket on to the test.

Run as a program it connects to the test (`TEST_PORT`), says what it was given, connects to the agent's socket
and passes bytes on, both ways, until either side hangs up. `TEST_MODE` makes it misbehave.
"""

from __future__ import annotations

import json
import os
import socket
import sys
import threading
import time

HELLO = ("MESHAGENT_CHANNEL_URL", "MESHAGENT_CHANNEL_CAPABILITY", "MESHAGENT_ROOM", "MESHAGENT_TOKEN")


def pump(source: socket.socket, sink: socket.socket) -> None:
    try:
        while data := source.recv(65_536):
            sink.sendall(data)
        sink.shutdown(socket.SHUT_WR)
    except OSError:
        return


def main() -> None:
    mode = os.environ.get("TEST_MODE", "")
    if mode == "dies":
        print("no such luck", file=sys.stderr)
        raise SystemExit(3)
    if mode == "silent":
        time.sleep(60)
        return
    test = socket.create_connection(("127.0.0.1", int(os.environ["TEST_PORT"])))
    hello = {
        "pid": os.getpid(),
        "cwd": os.getcwd(),
        "arguments": sys.argv[1:],
        "environment": dict(os.environ),
    }
    test.sendall(json.dumps(hello).encode() + b"\n")
    agent = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    agent.connect(os.environ["MESHAGENT_CHANNEL_URL"].removeprefix("unix://"))
    threading.Thread(target=pump, args=(test, agent), daemon=True).start()
    pump(agent, test)


if __name__ == "__main__":
    main()
