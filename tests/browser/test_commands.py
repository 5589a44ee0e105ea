"""Commands typed into the composer, with the agent's own supervisor behind the page."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.async_api import expect

from tests.browser.driver import Studio, conversation, ended, say, turns
from tests.contract.agent_room import agent_in
from tests.fakes.backend import FakeBackend

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_commands_do_what_they_say(studio: Studio, tmp_path: Path) -> None:
    backend = FakeBackend()
    async with agent_in(studio.room, tmp_path, [backend]):
        page = await studio.enter()
        await say(page, "work for a while")
        turn = await backend.turn(0)
        await say(page, "/models")
        await expect(turns(page).last).to_contain_text("gpt-5.5-mini")
        await say(page, "/stop")
        await turn.interrupted.wait()
        await ended(page, 3)
        first = page.url
        await say(page, "/NEW ")
        await expect(turns(page)).to_have_count(0)
        box = page.get_by_role("textbox", name="Message")
        await expect(box).to_be_focused()
        await expect(box).to_have_value("")
        assert page.url != first
        await say(page, "/new idea: say something")
        await expect(turns(page).last).to_contain_text("your client")
        await expect(conversation(page)).not_to_contain_text("work for a while")
        assert page.url != first
        assert len(backend.turns) == 1
    assert studio.complaints == []


async def test_a_new_thread_is_none_where_there_is_only_one(studio: Studio, tmp_path: Path) -> None:
    async with agent_in(studio.room, tmp_path, [FakeBackend()], single_thread=True):
        page = await studio.enter()
        await say(page, "/new")
        await expect(turns(page).last).to_contain_text("A new thread is started by your client")
    assert studio.complaints == []
