"""A real MCP server, made with the official SDK: over its standard streams (`python sdk_mcp.py FOLDER`), or
in this process over HTTP (`http_server`).
"""

from __future__ import annotations

import asyncio
import base64
import os
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from mcp.server.fastmcp import Context, FastMCP, Image
from mcp.types import ToolAnnotations
from pydantic import BaseModel

PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg=="
)


class Size(BaseModel):
    size: int


def make(folder: Path) -> FastMCP:
    """The server; what it did to whom is in `folder`."""
    server = FastMCP("played", log_level="ERROR")

    @server.tool(annotations=ToolAnnotations(readOnlyHint=True))
    def weather(town: str) -> str:
        """Tells the weather."""
        return f"It rains in {town}."

    @server.tool()
    def note(text: str) -> str:
        """Writes a note."""
        (folder / "notes").write_text(text)
        return "Noted."

    @server.tool(annotations=ToolAnnotations(readOnlyHint=True))
    def picture() -> Image:
        """Draws."""
        return Image(data=PNG, format="png")

    @server.tool(annotations=ToolAnnotations(readOnlyHint=True))
    def about() -> dict[str, object]:
        """Tells of itself."""
        return {"pid": os.getpid(), "names": sorted(os.environ), "word": os.environ.get("WORD", "")}

    @server.tool(annotations=ToolAnnotations(readOnlyHint=True))
    def die() -> str:
        """Ends the server."""
        print("it hurts", file=sys.stderr, flush=True)
        os._exit(3)

    @server.tool(annotations=ToolAnnotations(readOnlyHint=True))
    def fail() -> str:
        """Fails."""
        raise ValueError("no such town")

    @server.tool(annotations=ToolAnnotations(readOnlyHint=True))
    async def wait(context: Context) -> str:  # type: ignore[type-arg]
        """Takes for ever."""
        await context.report_progress(1, 2, "half")
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            (folder / "cancelled").touch()
            raise
        return "never"

    @server.tool(annotations=ToolAnnotations(readOnlyHint=True))
    async def order(context: Context) -> str:  # type: ignore[type-arg]
        """Asks for a size."""
        said = await context.elicit("Which size?", Size)
        return f"{said.action} {said.data.size}" if said.action == "accept" else said.action

    _add_resources(server)
    return server


def _add_resources(server: FastMCP) -> None:
    @server.resource("played://rivers", description="The rivers\nof the country.", mime_type="text/plain")
    def rivers() -> str:
        return "Donau, Rhein"

    @server.resource("played://maps/{town}", mime_type="image/png")
    def town_map(town: str) -> bytes:
        return PNG


@asynccontextmanager
async def http_server(folder: Path) -> AsyncIterator[str]:
    """The server at an address of this machine, which is given."""
    import uvicorn

    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    port = listener.getsockname()[1]
    app = make(folder).streamable_http_app()
    server = uvicorn.Server(uvicorn.Config(app, log_config=None, access_log=False, ws="none"))
    task = asyncio.create_task(server.serve([listener]))
    try:
        yield f"http://127.0.0.1:{port}/mcp"
    finally:
        server.should_exit = True
        server.force_exit = True
        await task


if __name__ == "__main__":
    make(Path(sys.argv[1])).run()
