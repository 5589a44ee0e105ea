"""`--web-fetch` in the real room: for the real Codex and for language models of each dialect."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from process_agent.agent.tools.sources import ToolOptions
from process_agent.io import fetch
from process_agent.scripted.server import ScriptedServer
from tests.contract.agent_room import ChatClient, agent_in, chat_client
from tests.contract.codex_room import script
from tests.contract.test_llm_mcp import DIALECTS, model, talking
from tests.fakes.room import LocalRoom
from tests.fakes.web_site import site

__all__ = ["model"]

PAGES = {
    "/a": ("200 OK\ncontent-type: text/html", b"<h1>Pears</h1><p>are sweet"),
    "/b": ("200 OK\ncontent-type: text/plain", b"and juicy"),
}
TOOLS = ToolOptions(web_fetch=True)


@pytest.fixture
def open_doors(monkeypatch: pytest.MonkeyPatch) -> None:
    """This machine is all of the internet here."""
    monkeypatch.setattr(fetch, "is_public", lambda address: address == "127.0.0.1")


async def ask_for_pages(ana: ChatClient, url: str, calls: list[dict[str, Any]], choice: Any) -> None:
    """One page that is named in the message, and one that is not: that one waits for a yes."""
    second = f"{url}/b"
    # The script is a part of the message: JSON can spell the second address so that it is none for people.
    hidden = script(*calls, {"report": True}).replace(second, second.replace("/", "\\/"))
    text = f"Look at {url}/a, please.\n{hidden}"
    await ana.say("thread.start", text, **choice)
    asked = await ana.wait("tool_call.approval_requested")
    assert f"{url}/b, an address that nobody wrote here" in str(asked)
    about = {name: asked[name] for name in ("thread_id", "turn_id", "item_id")}
    await ana.send("tool_call.approve", **about)
    ended = await ana.wait("turn.ended")
    assert "error" not in ended, ended
    assert "# Pears\n\nare sweet" in ana.texts()
    assert "and juicy" in ana.texts()
    assert {m["toolkit"] for m in ana.all("tool_call.started")} == {"web_fetch"}


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_a_language_model_reads_pages(
    server: LocalRoom, model: ScriptedServer, tmp_path: Path, dialect: str, open_doors: None
) -> None:
    async with site(PAGES) as there, talking(server, model, tmp_path, TOOLS) as ana:
        calls = [_call("web_fetch__fetch", there.url, path) for path in ("/a", "/b")]
        await ask_for_pages(ana, there.url, calls, DIALECTS[dialect])
    assert there.asked == ["/a", "/b"]


async def test_codex_reads_pages(
    server: LocalRoom, model: ScriptedServer, tmp_path: Path, open_doors: None
) -> None:
    async with (
        site(PAGES) as there,
        agent_in(server, tmp_path, model=model, tools=TOOLS),
        chat_client(server, "ana") as ana,
    ):
        calls = [_call("fetch", there.url, path, namespace="web_fetch") for path in ("/a", "/b")]
        await ask_for_pages(ana, there.url, calls, {})
    assert there.asked == ["/a", "/b"]


def _call(name: str, url: str, path: str, **more: Any) -> dict[str, Any]:
    return {"call": name, "arguments": {"url": url + path}, **more}
