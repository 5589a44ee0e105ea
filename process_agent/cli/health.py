"""Whether a running agent is well, for containers: `--health ADDRESS` answers, `process health ADDRESS` asks.

`/healthz` says that the agent runs at all; `/readyz` that it is in the room, what runs its turns lives,
and it does not stop. Whoever reaches the address learns no more than that.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Final

import typer

from process_agent.errors import UsageError

if TYPE_CHECKING:
    import asyncio

ASK_SECONDS: Final = 5.0
"""How long an agent has to say how it is."""
NOT_WELL: Final = 1
"""Exit code of `process health` when the agent is not ready, or does not answer."""

HealthAddress = Annotated[
    str | None,
    typer.Option(
        "--health",
        metavar="ADDRESS",
        help="Answer /healthz and /readyz there, like 127.0.0.1:8081, for containers.",
    ),
]
Address = Annotated[str, typer.Argument(metavar="ADDRESS", help="The one of `process join --health`.")]
Alive = Annotated[bool, typer.Option("--alive", help="Only whether it runs, not whether it is ready.")]


@dataclass(slots=True)
class Health:
    """What is known of an agent. `stop` is set once it stops."""

    stop: asyncio.Event
    backends: Sequence[object] = ()
    answers: bool = False
    online: bool = True

    def went(self, online: bool) -> None:
        """The connection to the room was lost, or is back."""
        self.online = online

    def why_not(self) -> str | None:
        """Why the agent is not ready, or None."""
        from process_agent.core.diagnosis import Living

        if self.stop.is_set():
            return "stopping"
        if not self.answers:
            return "starting"
        if not self.online:
            return "no connection to the room"
        if any(isinstance(backend, Living) and not backend.alive for backend in self.backends):
            return "what runs the turns is gone; the next turn starts it again"
        return None

    def reply(self, target: str) -> tuple[int, str]:
        """Status and text for a request."""
        match target.partition("?")[0]:
            case "/healthz":
                return 200, "alive"
            case "/readyz":
                why = self.why_not()
                return (200, "ready") if why is None else (503, why)
            case _:
                return 404, "There is /healthz and /readyz."


@asynccontextmanager
async def answering(address: str | None, health: Health) -> AsyncIterator[None]:
    """Answer at the address, if there is one. Raises `UsageError` where it cannot be listened on."""
    if address is None:
        yield
        return
    from process_agent.io.small_http import Asking, Reply, SmallServer

    def answer(asking: Asking) -> Reply:
        return Reply(*health.reply(asking.target))

    host, port = parse_address(address)
    server = SmallServer([host], port, answer)
    await server.start()
    try:
        yield
    finally:
        await server.close()


def parse_address(text: str) -> tuple[str, int]:
    """Host and port of `HOST:PORT`, or of a port alone, which means loopback. Raises `UsageError`."""
    host, _, port = text.rpartition(":")
    if not (port.isascii() and port.isdigit() and 0 < int(port[:6]) < 65536):
        raise UsageError(
            f"--health {text[:100]!r} is no address.", fix="Give it like 127.0.0.1:8081, or a port."
        )
    return (host.strip("[]") or "127.0.0.1"), int(port)


def health(address: Address, alive: Alive = False) -> None:
    """Ask a running agent whether it is ready: in the room, with what runs its turns alive.

    Prints one word or the reason. Exit codes: 0 it is ready, 1 it is not, or does not answer.
    """
    import http.client

    host, port = parse_address(address)
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 # where it listens; we go to loopback
    connection = http.client.HTTPConnection(host, port, timeout=ASK_SECONDS)
    try:
        connection.request("GET", "/healthz" if alive else "/readyz")
        answer = connection.getresponse()
        status, said = answer.status, answer.read(1000).decode(errors="replace").strip()
    except (OSError, http.client.HTTPException) as error:
        status, said = 0, f"no answer: {error}"
    finally:
        connection.close()
    typer.echo(said)
    if status != 200:
        raise typer.Exit(NOT_WELL)
