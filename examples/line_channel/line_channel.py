"""A channel program for `process`: whoever connects to a port talks to the agent, a line at a time.

    pip install msgpack
    process join --room demo --agent-name bot --backend codex \\
        --channel chat --channel 'command:["python3", "examples/line_channel/line_channel.py", "7070"]'
    nc 127.0.0.1 7070

Each connection is one participant with one thread. Its first line starts the thread, each later line a turn;
what the agent says comes back as it is said. docs/external-channels.md explains what is used here.

It listens on loopback and asks nobody for a name: everybody on this machine can talk to the agent through it.
"""

from __future__ import annotations

import asyncio
import os
import sys
import uuid
from dataclasses import dataclass
from itertools import count
from typing import Any

import msgpack

PREFIX = "meshagent.agent."
MAX_LINE = 64 * 1024
MAX_VALUE = 64 * 1024 * 1024
MAX_UNREAD = 1024 * 1024
"""A visitor that reads nothing while the agent talks is hung up on."""


@dataclass
class Visitor:
    """One connection. `asked` are messages of its that were not accepted yet, `turns` those that are."""

    name: str
    writer: asyncio.StreamWriter
    asked: set[str]
    turns: set[str]
    thread: str | None = None

    def show(self, text: str) -> None:
        """Send text, without waiting until it is read."""
        self.writer.write(text.encode())
        if self.writer.transport.get_write_buffer_size() > MAX_UNREAD:
            self.writer.transport.abort()


class LineChannel:
    """The connection to the agent, and everybody who is connected to us."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._visitors: dict[str, Visitor] = {}
        self._numbers = count(1)

    # --- To the agent ------------------------------------------------------------------------------

    def send(self, kind: str, visitor: Visitor, **fields: Any) -> str:
        """Send an agent message of a visitor's; returns its id."""
        message_id = str(uuid.uuid4())
        data = {"type": PREFIX + kind, "message_id": message_id, **fields}
        sender = {"id": visitor.name, "attributes": {"name": visitor.name}}
        self._writer.write(msgpack.packb({"data": data, "sender": sender}))
        return message_id

    def say(self, visitor: Visitor, line: str) -> None:
        """A line of a visitor's: the first one makes the thread."""
        content = [{"type": "text", "text": line}]
        if visitor.thread is None:
            visitor.asked.add(self.send("thread.start", visitor, content=content))
        else:
            visitor.asked.add(self.send("turn.start", visitor, thread_id=visitor.thread, content=content))

    # --- From the agent ----------------------------------------------------------------------------

    async def listen(self) -> None:
        """Show what the agent says, until it hangs up: then we have to end, too."""
        values = msgpack.Unpacker(max_buffer_size=MAX_VALUE)
        while received := await self._reader.read(64 * 1024):
            values.feed(received)
            for envelope in values:
                for visitor in tuple(self._visitors.values()):
                    self.show(envelope["data"], visitor)

    def show(self, message: dict[str, Any], visitor: Visitor) -> None:
        """The agent tells everything to every channel program; each visitor sees its own turns."""
        kind = message["type"].removeprefix(PREFIX)
        if message.get("source_message_id") in visitor.asked:
            self.answered(kind, message, visitor)
        elif message.get("turn_id") not in visitor.turns:
            return
        elif kind == "text_content.delta":
            visitor.show(message["text"])
        elif kind == "text_content.ended":
            visitor.show("\n")
        elif kind == "tool_call.approval_requested":
            visitor.show("[somebody in the room has to approve what the agent wants to do]\n")
        elif kind == "turn.ended":
            visitor.turns.discard(message["turn_id"])
            if message.get("error"):
                visitor.show(f"[{message['error']['message']}]\n")
            visitor.show("> ")

    def answered(self, kind: str, message: dict[str, Any], visitor: Visitor) -> None:
        """What became of something a visitor asked."""
        if kind == "thread.started":
            visitor.thread = message["thread_id"]
        elif kind == "turn.start.accepted":
            visitor.asked.discard(message["source_message_id"])
            visitor.turns.add(message["turn_id"])
        elif kind == "turn.start.rejected":
            visitor.asked.discard(message["source_message_id"])
            visitor.show(f"[{message['error']['message']}]\n> ")

    # --- Visitors ----------------------------------------------------------------------------------

    async def welcome(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, from its first line to its last."""
        name = f"line-{next(self._numbers)}"
        visitor = self._visitors[name] = Visitor(name, writer, set(), set())
        visitor.show("> ")
        try:
            while line := await reader.readline():
                if text := line.decode(errors="replace").strip():
                    self.say(visitor, text)
                    await self._writer.drain()
        except (ConnectionError, ValueError):
            pass  # it hung up in the middle of a line, or the line is longer than MAX_LINE
        finally:
            del self._visitors[name]
            self.send("participant.disconnect", visitor, participant_id=name)
            writer.close()


async def connect_to_agent() -> LineChannel:
    """Connect as the agent's environment says, and prove that the agent started us."""
    path = os.environ["MESHAGENT_CHANNEL_URL"].removeprefix("unix://")
    reader, writer = await asyncio.open_unix_connection(path)
    writer.write(msgpack.packb({"capability": os.environ["MESHAGENT_CHANNEL_CAPABILITY"]}))
    await writer.drain()
    return LineChannel(reader, writer)


async def main(port: int) -> None:
    """Serve until the agent hangs up."""
    channel = await connect_to_agent()
    async with await asyncio.start_server(channel.welcome, "127.0.0.1", port, limit=MAX_LINE) as server:
        print(f"listening on 127.0.0.1:{server.sockets[0].getsockname()[1]}", flush=True)
        await channel.listen()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else 7070))
