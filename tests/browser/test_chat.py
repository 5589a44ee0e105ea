"""Chatting in the page, with a canned agent in a real room."""

from __future__ import annotations

import re
from typing import Any

import pytest
from playwright.async_api import expect

from tests.browser.driver import Studio, conversation, ended, say, turns
from tests.fakes.chat_agent import chat_agent

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_a_turn_with_everything_in_it(studio: Studio) -> None:
    async with chat_agent(studio.room):
        page = await studio.enter()
        await expect(page.get_by_role("heading", name="What shall we build?")).to_be_visible()
        await studio.picture(page, "start")
        await say(page, "demo please")
        await ended(page)
        talk = conversation(page)
        await expect(talk.get_by_text("demo please")).to_be_visible()
        await expect(talk.get_by_role("heading", name="Fixed", exact=True)).to_be_visible()
        await expect(talk.get_by_role("button", name=re.compile("Thought Reading the code"))).to_be_visible()
        plan = talk.get_by_role("region", name="Plan")
        await expect(plan.get_by_role("listitem")).to_have_text(
            ["Run the check", "Fix the discount", "Run the check again"]
        )
        changes = talk.get_by_role("region", name="Changes", exact=True)
        await expect(changes).to_contain_text("2 files changed+3−1")
        await expect(changes.locator("tr.add .text")).to_have_text(
            ["    return sum(prices) * (1 - discount)", "hello", "world"]
        )
        await expect(page.get_by_role("button", name="13.2k of 272k tokens of context used")).to_be_visible()
        await expect(talk.get_by_text("12.4k in, 830 out")).to_be_visible()
        await studio.picture(page, "turn")
    assert studio.complaints == []


async def test_an_agent_without_a_sandbox_is_seen_as_such(studio: Studio) -> None:
    async with chat_agent(studio.room) as agent:
        page = await studio.enter()
        badge = page.get_by_text("no sandbox", exact=True)
        await expect(badge).to_be_hidden()
        await agent.warn("Full access: commands <b>run</b> without a sandbox.")
        await expect(badge).to_be_visible()
        await expect(badge).to_have_attribute("title", re.compile("Full access: commands <b>run"))
        await expect(page.get_by_role("note")).to_have_text(
            "Full access: commands <b>run</b> without a sandbox."
        )
        await studio.picture(page, "caution")
    assert studio.complaints == []


async def test_the_start_screen_says_nothing_where_there_is_no_caution(studio: Studio) -> None:
    async with chat_agent(studio.room):
        page = await studio.enter()
        start = page.locator(".start")
        await expect(start.get_by_role("heading", name="What shall we build?")).to_be_visible()
        await expect(start.get_by_role("note")).to_have_count(0)
        texts = await start.evaluate("start => [...start.childNodes].map(node => node.nodeName)")
        assert "#text" not in texts, await start.inner_text()
    assert studio.complaints == []


async def test_tool_calls_are_folded_and_open_to_a_terminal(studio: Studio) -> None:
    async with chat_agent(studio.room):
        page = await studio.enter()
        await say(page, "demo")
        await ended(page)
        step = page.get_by_role("button", name=re.compile("python3 check_prices.py.*exit 1"))
        output = page.get_by_role("region", name="Output")
        await expect(output).to_have_count(0)
        await step.click()
        await expect(output).to_have_text("checking\nFAILED half price\n")
        await expect(output.locator(".ansi-red")).to_have_text("FAILED")
        await step.press("Enter")
        await expect(output).to_be_hidden()
    assert studio.complaints == []


async def test_markdown_is_safe(studio: Studio) -> None:
    async with chat_agent(studio.room):
        page = await studio.enter()
        await say(page, "demo")
        await ended(page)
        prose = page.locator(".prose").last
        await expect(prose.get_by_text("<img src=x onerror=alert(1)> is text.")).to_be_visible()
        await expect(prose.locator("img, script, [onerror]")).to_have_count(0)
        links = prose.get_by_role("link")
        await expect(links).to_have_text(["the docs", "Image: remote"])
        await expect(links.first).to_have_attribute("target", "_blank")
        await expect(links.first).to_have_attribute("rel", "noopener noreferrer nofollow")
    assert studio.complaints == []


async def test_code_can_be_copied(studio: Studio) -> None:
    async with chat_agent(studio.room):
        page = await studio.enter()
        await page.context.grant_permissions(["clipboard-read", "clipboard-write"], origin=studio.room.url)
        await say(page, "demo")
        await ended(page)
        await page.get_by_role("button", name="Copy code").click()
        await expect(page.get_by_role("button", name="Copied")).to_be_visible()
        assert (await page.evaluate("navigator.clipboard.readText()")).startswith("def total(")
    assert studio.complaints == []


@pytest.mark.parametrize("how", ["button", "Escape"])
async def test_a_running_turn_is_stopped(studio: Studio, how: str) -> None:
    async with chat_agent(studio.room):
        page = await studio.enter()
        await say(page, "slow")
        await expect(page.locator(".status-line")).to_contain_text("Counting")
        await expect(turns(page).last).to_contain_text("1 2 3 4 5")
        assert (await page.title()).startswith("●")
        if how == "button":
            await page.get_by_role("button", name="Stop").click()
        else:
            await page.keyboard.press("Escape")
        await ended(page)
        await expect(turns(page).last).to_contain_text("Stopped")
        await expect(page.get_by_role("button", name="Stop")).to_be_hidden()
        await expect(page.locator(".status-line")).to_be_hidden()
    assert studio.complaints == []


async def test_a_message_in_the_middle_steers_and_one_with_control_waits(studio: Studio) -> None:
    async with chat_agent(studio.room) as agent:
        page = await studio.enter()
        await say(page, "slow")
        await expect(page.get_by_text("Enter tells the agent while it works")).to_be_visible()
        await page.get_by_role("textbox", name="Message").fill("later please")
        await page.keyboard.press("Control+Enter")
        await expect(conversation(page).get_by_text("later please", exact=True)).to_be_visible()
        await say(page, "turn left")
        await expect(turns(page).first).to_contain_text("Steered: turn left")
        await ended(page, 2)
        kinds = [heard["type"].rpartition("agent.")[2] for heard in agent.heard if "turn." in heard["type"]]
        assert kinds == ["turn.start", "turn.steer"]
    assert studio.complaints == []


@pytest.mark.parametrize(("answer", "outcome"), [("Approve", "It ran."), ("Decline", "It did not run.")])
async def test_somebody_decides(studio: Studio, answer: str, outcome: str) -> None:
    async with chat_agent(studio.room):
        page = await studio.enter()
        await say(page, "approve")
        card = page.get_by_role("group", name="fake-agent asks to run a command")
        await expect(card).to_contain_text("It is outside the sandbox.")
        await expect(card).to_contain_text("rm -rf build")
        if answer == "Approve":
            await studio.picture(page, "approval")
        await card.get_by_role("button", name=answer, exact=True).click()
        await ended(page)
        await expect(card).to_have_count(0)
        await expect(turns(page)).to_contain_text(outcome)
        await expect(turns(page)).to_contain_text(f"{answer}d by ana")
    assert studio.complaints == []


async def test_a_failed_turn_says_why(studio: Studio) -> None:
    async with chat_agent(studio.room):
        page = await studio.enter()
        await say(page, "fail")
        await ended(page)
        await expect(turns(page).get_by_role("alert")).to_have_text(
            "This turn failed.The model's quota is used up."
        )
        await say(page, "once more")
        await ended(page, 2)
    assert studio.complaints == []


async def test_only_what_changes_is_drawn_again(studio: Studio) -> None:
    async with chat_agent(studio.room):
        page = await studio.enter()
        await say(page, "demo")
        await ended(page)
        await page.evaluate(
            """() => {
                window.redrawn = 0;
                new MutationObserver((list) => (window.redrawn += list.length)).observe(
                    document.querySelector(".turn"),
                    { subtree: true, childList: true, attributes: true, characterData: true },
                );
            }"""
        )
        await say(page, "long")
        await ended(page, 2)
        await expect(turns(page).last.get_by_text("Paragraph 199 of a")).to_be_in_viewport()
        assert await page.evaluate("window.redrawn") == 0
        assert await turns(page).last.locator(".prose > p").count() == 200
    assert studio.complaints == []


async def test_reading_back_is_not_disturbed_by_new_text(studio: Studio) -> None:
    async with chat_agent(studio.room):
        page = await studio.enter()
        await say(page, "long")
        await ended(page)
        await conversation(page).evaluate("el => { el.scrollTop = 0 }")
        latest = page.get_by_role("button", name="Go to the latest message")
        await expect(latest).to_be_visible()
        await say(page, "hello")
        await ended(page, 2)
        await expect(conversation(page).get_by_text("You said: hello")).to_be_in_viewport()
        await conversation(page).evaluate("el => { el.scrollTop = 0 }")
        await latest.click()
        await expect(conversation(page).get_by_text("You said: hello")).to_be_in_viewport()
    assert studio.complaints == []


async def test_the_model_can_be_changed(studio: Studio) -> None:
    async with chat_agent(studio.room) as agent:
        page = await studio.enter()
        await say(page, "hello")
        await ended(page)
        await page.get_by_role("button", name="Model: gpt-large").press("Enter")
        menu = page.get_by_role("menu", name="Model")
        await expect(menu.get_by_role("menuitemradio")).to_have_text(["gpt-large", "Small", "scripted model"])
        await page.keyboard.press("ArrowUp")
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("button", name="Model: scripted model")).to_be_focused()
        await say(page, "hello again")
        await ended(page, 2)
        wanted = {"backend": "codex", "provider": "scripted", "model": "scripted"}
        asked = [m for m in agent.heard if m["type"].endswith(("model.change", "turn.start"))]
        assert [{k: m.get(k) for k in wanted} for m in asked] == [wanted, wanted]
    assert studio.complaints == []


async def test_an_agent_without_streams_works_the_same(studio: Studio) -> None:
    async with chat_agent(studio.room, streams=False):
        page = await studio.enter()
        await say(page, "demo")
        await ended(page)
        await say(page, "slow")
        await expect(turns(page).last).to_contain_text("1 2 3")
        await page.reload()
        await page.get_by_role("button", name="Stop").click()
        await ended(page, 2)
    assert studio.complaints == []


async def test_nonsense_from_an_agent_does_not_break_the_page(studio: Studio) -> None:
    async with chat_agent(studio.room) as agent:
        page = await studio.enter()
        await say(page, "hello")
        await ended(page)
        [path] = agent.threads
        nonsense: tuple[Any, ...] = (None, 7, "x", [], [7, None], {"a": []})
        for kind in (
            "turn.started",
            "text_content.delta",
            "tool_call.ended",
            "thread.listed",
            "models.response",
        ):
            for value in nonsense:
                names = (
                    "content",
                    "text",
                    "result",
                    "threads",
                    "providers",
                    "arguments",
                    "error",
                    "metadata",
                )
                wrong = dict.fromkeys(names, value)
                agent.tell(
                    path, {"type": f"meshagent.agent.{kind}", "thread_id": path, "turn_id": "t", **wrong}
                )
        await say(page, "still there?")
        await expect(conversation(page).get_by_text("You said: still there?")).to_be_visible()
    assert studio.complaints == []
