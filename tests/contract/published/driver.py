"""Runs the published chat client for a test: JSON lines in, JSON lines out.

Started with the Python of the environment that has it, so it imports nothing of ours. A line in is
`{"id", "do", …}`; the answer is `{"id", "value"}` or `{"id", "error", "code"}`. Whatever the agent sends to a
client is told as `{"client", "event", "problem"}`, where `problem` says why the published models refuse the
message. Ends when its input ends.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from typing import Any

from meshagent.agents import messages
from meshagent.agents.chat_client import LegacyMessagingChatClient, MessagingChatClient
from meshagent.agents.dataset_thread_storage import DatasetThreadStorage
from meshagent.agents.messages import parse_agent_message
from meshagent.api import RoomClient, WebSocketClientProtocol
from meshagent.tools import FunctionTool, Toolkit

PREFIX = "meshagent.agent."
OUT = os.fdopen(os.dup(1), "w", buffering=1)
os.dup2(2, 1)  # what a library prints must not get between our lines


def tell(message: dict[str, Any]) -> None:
    OUT.write(json.dumps(message) + "\n")


def problem_of(payload: dict[str, Any]) -> str | None:
    try:
        parse_agent_message(payload)
    except Exception as error:  # noqa: BLE001 - whatever it raises is what the test wants to know
        return f"{type(error).__name__}: {error}"
    return None


class Client:
    """One participant with a chat client."""

    def __init__(self, name: str, url: str, token: str, agent: str, streams: bool) -> None:
        self.name = name
        protocol: Any = WebSocketClientProtocol(url=url, token=token)
        self.room: Any = RoomClient(protocol_factory=protocol.create_factory())
        kind = MessagingChatClient if streams else LegacyMessagingChatClient
        self._made = (kind, agent)
        self.chat: Any = None
        self.sessions: dict[str, Any] = {}
        self.waiting: dict[str, asyncio.Task[Any]] = {}

    async def enter(self) -> None:
        await self.room.__aenter__()
        kind, agent = self._made
        await self.room.messaging.enable()
        await self._agent_is_here(agent)  # else the client looks for it once a second
        self.chat = kind(room=self.room, participant_name=agent, timeout=20)
        self.chat.add_event_listener(self._event)
        await self.chat.start()

    async def _agent_is_here(self, agent: str) -> None:
        seen = asyncio.Event()
        for event in ("participant_added", "messaging_enabled"):
            self.room.messaging.on(event, lambda **_: seen.set())
        while self.room.messaging.get_participant_by_name(agent) is None:
            seen.clear()
            await seen.wait()

    async def leave(self) -> None:
        for task in self.waiting.values():
            task.cancel()
        await asyncio.gather(*self.waiting.values(), return_exceptions=True)
        await self.chat.stop()
        await self.room.__aexit__(None, None, None)

    def _event(self, payload: dict[str, Any]) -> None:
        tell({"client": self.name, "event": payload, "problem": problem_of(payload)})


class Commands:
    """What a line can ask for; each method is one `do`."""

    def __init__(self) -> None:
        self.clients: dict[str, Client] = {}

    async def join(self, client: str, **made: Any) -> None:
        joined = self.clients[client] = Client(client, **made)
        await joined.enter()

    async def leave(self, client: str) -> None:
        await self.clients.pop(client).leave()

    async def vanish(self, client: str) -> None:
        """The connection ends without a word to the agent."""
        await self.clients.pop(client).room.__aexit__(None, None, None)

    async def session(self, client: str, session: str, tools: list[str] = []) -> None:  # noqa: B006
        """A session without a thread; its first question starts one."""
        made = self.clients[client].chat._create_thread_session(local_participant_name=client)
        self.clients[client].sessions[session] = made

    async def start(self, client: str, session: str, text: str, **more: Any) -> str:
        found = self._session(client, session)
        source: str = await found.start_thread(text=text, **more)
        return source

    async def open(self, client: str, session: str, thread: str, **more: Any) -> None:
        of = self.clients[client]
        of.sessions[session] = await of.chat.open_thread(thread, local_participant_name=client, **more)

    async def ask(self, client: str, session: str, text: str, **more: Any) -> str:
        answer: str = await self._session(client, session).ask(prompt=text, **more)
        return answer

    async def say(self, client: str, session: str, text: str, **more: Any) -> str:
        source: str = await self._session(client, session).send_text(text=text, **more)
        return source

    async def steer(self, client: str, session: str, text: str) -> str | None:
        """Steers; how it went is told as events of ours."""

        def told(name: str) -> Any:
            def tell_it(error: Any = None) -> None:
                event = {
                    "type": f"{PREFIX}callback.{name}",
                    "text": text,
                    "code": getattr(error, "code", None),
                }
                tell({"client": client, "event": event, "problem": None})

            return tell_it

        found = self._session(client, session)
        source: str | None = found.steer(
            prompt=text,
            on_accepted=told("accepted"),
            on_applied=told("applied"),
            on_rejected=told("rejected"),
        )
        return source

    async def interrupt(self, client: str, session: str) -> bool:
        stopped: bool = self._session(client, session).interrupt()
        return stopped

    async def threads(self, client: str, session: str, **page: Any) -> Any:
        return (await self._session(client, session).list_threads(**page)).model_dump(mode="json")

    async def rename(self, client: str, session: str, thread: str, name: str) -> None:
        await self._session(client, session).rename_thread(thread, name)

    async def delete(self, client: str, session: str, thread: str) -> None:
        await self._session(client, session).delete_thread(thread)

    async def models(self, client: str, session: str) -> Any:
        return (await self._session(client, session).request_models()).model_dump(mode="json")

    async def change_model(self, client: str, session: str, **wish: Any) -> Any:
        return (await self._session(client, session).change_model(**wish)).model_dump(mode="json")

    async def register(self, client: str, session: str, tool: str) -> Any:
        """Offer a tool that returns its arguments."""

        class Echo(FunctionTool):  # type: ignore[misc]
            def __init__(self) -> None:
                schema = {
                    "type": "object",
                    "additionalProperties": False,
                    "required": ["text"],
                    "properties": {"text": {"type": "string"}},
                }
                super().__init__(name=tool, title=tool, description="echoes", input_schema=schema)

            async def execute(self, context: Any, text: str) -> Any:
                return {"echo": text, "for": context.caller.get_attribute("name")}

        offered = self._session(client, session).register_client_toolkits(
            [Toolkit(name=tool, tools=[Echo()])]
        )
        return [description.model_dump(mode="json") for description in offered]

    async def start_with_tool(self, client: str, session: str, text: str, tool: str) -> str:
        """A new thread whose first turn may use a tool of this client."""
        found = self._session(client, session)
        offered = await self.register(client, session, tool)
        content = [{"type": "text", "text": text}]
        body = {"type": PREFIX + "thread.start", "content": content, "client_toolkits": offered}
        message = parse_agent_message(body)
        await found.send(message)
        source: str = message.message_id
        return source

    async def inject(self, client: str, session: str, bodies: list[dict[str, Any]]) -> None:
        await self._session(client, session).inject_messages([parse_agent_message(body) for body in bodies])

    async def send(self, client: str, body: dict[str, Any], session: str | None = None) -> str:
        """Any message of the published models."""
        message = parse_agent_message(body)
        to = self.clients[client].chat if session is None else self._session(client, session)
        await to.send(message)
        source: str = message.message_id
        return source

    async def close(self, client: str, session: str) -> None:
        await self.clients[client].sessions.pop(session).close()

    async def state(self, client: str, session: str) -> dict[str, Any]:
        """What the client would show."""
        of, found = self.clients[client], self._session(client, session)
        model = found.current_model
        subscriptions = getattr(of.chat, "_thread_subscriptions", {})
        return {
            "thread": found.thread_path if found.has_thread_path else None,
            "status": found.thread_status_text,
            "model": None if model is None else model.model_dump(mode="json"),
            "active_turn": found.active_turn_id,
            "last_turn": found.last_completed_turn_id,
            "pending": found.queued_message_labels,
            "streams": list(subscriptions),
            "connection": of.chat.connection_status.status if of.chat.connection_status else None,
            "messages": [message.model_dump(mode="json") for message in found.messages],
        }

    async def parse(self, messages: list[dict[str, Any]]) -> list[str | None]:
        """Why the published models refuse each of these, or None."""
        return [problem_of(message) for message in messages]

    async def read_thread(self, url: str, token: str, thread: str) -> list[dict[str, Any]]:
        """What the published agent reads of a thread's rows, in order. Raises what it raises."""
        protocol: Any = WebSocketClientProtocol(url=url, token=token)
        async with RoomClient(protocol_factory=protocol.create_factory()) as room:
            storage = DatasetThreadStorage(room=room, path=thread)
            await storage.start()
            try:
                await storage.wait_until_ready()
                return [message.model_dump(mode="json") for message in storage.agent_messages()]
            finally:
                await storage.stop()

    async def write_thread(
        self, url: str, token: str, folder: str, thread: str, name: str, bodies: list[dict[str, Any]]
    ) -> None:
        """A thread as the published agent stores and lists it, of these messages in order."""
        protocol: Any = WebSocketClientProtocol(url=url, token=token)
        async with RoomClient(protocol_factory=protocol.create_factory()) as room:
            storage = DatasetThreadStorage(room=room, path=thread)
            await storage.start()
            await storage.wait_until_ready()
            for body in bodies:
                storage.push_message(message=parse_agent_message(body))
            await storage.stop()
            listing: Any = DatasetThreadStorage
            await listing.upsert_thread(client=room.datasets, thread_dir=folder, path=thread, name=name)

    async def types(self) -> list[str]:
        """Every type the published models have."""
        return [
            value
            for name, value in vars(messages).items()
            if name.startswith(("AGENT_EVENT_", "AGENT_MESSAGE_"))
        ]

    def _session(self, client: str, session: str) -> Any:
        return self.clients[client].sessions[session]


async def serve(commands: Commands, line: dict[str, Any]) -> None:
    number, do = line.pop("id"), line.pop("do")
    try:
        tell({"id": number, "value": await getattr(commands, do)(**line)})
    except Exception as error:  # noqa: BLE001 - told to the test, which asked for it
        tell(
            {"id": number, "error": f"{type(error).__name__}: {error}", "code": getattr(error, "code", None)}
        )


async def main() -> None:
    reader = asyncio.StreamReader(limit=64 * 2**20)
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    commands = Commands()
    async with asyncio.TaskGroup() as group:
        tell({"ready": True})
        served = set[asyncio.Task[None]]()
        while line := await reader.readline():
            task = group.create_task(serve(commands, json.loads(line)))
            served.add(task)
            task.add_done_callback(served.discard)
        for task in served:  # nobody waits for it any more; one that waits for ever would keep us
            task.cancel()
        for client in list(commands.clients):
            await commands.leave(client)


if __name__ == "__main__":
    asyncio.run(main())
