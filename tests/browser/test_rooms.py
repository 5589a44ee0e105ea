"""Getting in, threads, other people, lost connections, and how it looks."""

from __future__ import annotations

import re

import httpx
import pytest
from playwright.async_api import expect

from tests.browser.driver import Studio, conversation, ended, say, turns
from tests.fakes.chat_agent import chat_agent

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_a_link_works_once_and_leaves_no_trace(studio: Studio) -> None:
    link = await studio.link()
    context = await studio.context()
    page = await studio.page(context)
    await page.goto(link)
    await expect(page.get_by_role("heading", name="demo", exact=True)).to_be_visible()
    assert page.url == f"{studio.room.url}/"
    assert await page.evaluate("document.cookie") == ""
    again = await studio.page(context)
    await again.goto(studio.room.url)
    await expect(again.get_by_role("heading", name="demo", exact=True)).to_be_visible()
    assert studio.complaints == []
    stranger = await studio.page(await studio.context())
    await stranger.goto(link)
    await expect(stranger.get_by_role("heading", name="Open Studio with a fresh link")).to_be_visible()
    await expect(stranger.get_by_text("process room link", exact=True)).to_be_visible()
    await studio.picture(stranger, "signed-out")


async def test_the_servers_answers_carry_the_page_policy(studio: Studio) -> None:
    async with httpx.AsyncClient(base_url=studio.room.url, trust_env=False) as client:
        answer = await client.get("/")
    assert "require-trusted-types-for 'script'" in answer.headers["content-security-policy"]


async def test_an_agent_that_comes_later_is_found(studio: Studio) -> None:
    page = await studio.enter()
    await expect(page.get_by_role("heading", name="No agent in this room yet")).to_be_visible()
    await expect(page.get_by_text("process join --room demo")).to_be_visible()
    async with chat_agent(studio.room):
        await say(page, "hello")
        await ended(page)
    assert studio.complaints == []


async def test_threads_are_listed_opened_renamed_and_deleted(studio: Studio) -> None:
    async with chat_agent(studio.room):
        page = await studio.enter()
        threads = page.get_by_role("navigation", name="Threads")
        for text in ("first thread", "second thread"):
            await page.get_by_role("button", name="New thread").click()
            await say(page, text)
            await expect(conversation(page).get_by_text(f"You said: {text}")).to_be_visible()
        await expect(threads.get_by_role("link")).to_have_text(["second thread", "first thread"])
        await threads.get_by_role("link", name="first thread").click()
        await expect(conversation(page).get_by_text("You said: first thread")).to_be_visible()
        await expect(conversation(page).get_by_text("You said: second thread")).to_have_count(0)
        await page.go_back()
        await expect(conversation(page).get_by_text("You said: second thread")).to_be_visible()

        await threads.get_by_role("link", name="first thread").hover()
        await page.get_by_role("button", name="More about first thread").click()
        await page.get_by_role("menuitem", name="Rename").click()
        await page.get_by_role("textbox", name="Name").fill("renamed")
        await page.keyboard.press("Enter")
        await expect(threads.get_by_role("link", name="renamed")).to_be_visible()

        await page.get_by_role("button", name="More about second thread").click()
        await page.get_by_role("menuitem", name="Delete").click()
        dialog = page.get_by_role("dialog")
        await dialog.get_by_role("button", name="Cancel").click()
        await page.get_by_role("button", name="More about second thread").click()
        await page.get_by_role("menuitem", name="Delete").click()
        await dialog.get_by_role("button", name="Delete").click()
        await expect(threads.get_by_role("link")).to_have_text(["renamed"])
        await expect(page.get_by_role("heading", name="What shall we build?")).to_be_visible()
        assert page.url == f"{studio.room.url}/"
    assert studio.complaints == []


async def test_reloading_finds_the_thread_again_also_while_it_runs(studio: Studio) -> None:
    async with chat_agent(studio.room):
        page = await studio.enter()
        await say(page, "demo")
        await ended(page)
        assert re.search(r"\?thread=dataset://agents/fake-agent/threads/", page.url)
        await say(page, "slow")
        await expect(turns(page).last).to_contain_text("1 2 3")
        await page.reload()
        await expect(turns(page)).to_have_count(2)
        await expect(page.get_by_role("heading", name="Fixed", exact=True)).to_be_attached()
        await page.get_by_role("button", name="Stop").click()
        await ended(page, 2)
        counted = await turns(page).last.locator(".prose").inner_text()
        numbers = [int(number) for number in counted.split()]
        assert numbers == list(range(1, len(numbers) + 1)), "nothing is missing and nothing came twice"
    assert studio.complaints == []


async def test_two_people_see_the_same_turn(studio: Studio) -> None:
    async with chat_agent(studio.room):
        ana = await studio.enter("ana")
        await say(ana, "hello from ana")
        await ended(ana)
        bob = await studio.enter("bob")
        await bob.goto(ana.url)
        await ended(bob)
        people = ana.get_by_role("region", name="Participants").get_by_role("listitem")
        await expect(people).to_have_text(["fake-agentagent", "bobuser", "anayou"])
        again = await studio.enter("bob")
        await expect(people).to_have_text(["fake-agentagent", "bob× 2user", "anayou"])
        await studio.picture(ana, "people")
        await again.close()
        await expect(people).to_have_text(["fake-agentagent", "bobuser", "anayou"])
        await say(bob, "slow")
        await expect(turns(ana)).to_have_count(2)
        await expect(turns(ana).last.locator(".bubble-label")).to_have_text("bob")
        await ana.get_by_role("button", name="Stop").click()
        await ended(bob, 2)
        texts = [await turns(page).last.locator(".prose").inner_text() for page in (ana, bob)]
        assert texts[0] == texts[1]
        await bob.close()
        await expect(people.filter(has_text="bob")).to_have_text("bobuser, away")
    assert studio.complaints == []


async def test_a_restarted_server_is_taken_up_again(studio: Studio) -> None:
    async with chat_agent(studio.room):
        page = await studio.enter()
        await say(page, "demo")
        await ended(page)
        await studio.room.stop()
        await expect(page.get_by_text(re.compile("The connection to the room is lost"))).to_be_visible()
        await expect(page.get_by_role("textbox", name="Message")).to_have_attribute(
            "placeholder", "Connecting to the room…"
        )
        await studio.room.restart()
        await say(page, "are you there?")
        await ended(page, 2)
        await expect(conversation(page).get_by_text("You said: are you there?")).to_be_visible()
        await expect(turns(page)).to_have_count(2)
        await expect(page.locator(".banner")).to_be_hidden()


async def test_an_agent_that_leaves_is_missed(studio: Studio) -> None:
    async with chat_agent(studio.room):
        page = await studio.enter()
        await say(page, "hello")
        await ended(page)
    await expect(page.get_by_text("fake-agent left the room.")).to_be_visible()
    async with chat_agent(studio.room):
        await expect(page.get_by_text("fake-agent left the room.")).to_be_hidden()
    assert studio.complaints == []


async def test_an_agent_can_be_chosen(studio: Studio) -> None:
    async with chat_agent(studio.room, "abe"), chat_agent(studio.room, "zoe"):
        page = await studio.enter()
        await expect(page.get_by_role("textbox", name="Message")).to_have_attribute(
            "placeholder", "Message abe"
        )
        await page.get_by_role("button", name=re.compile("zoe")).click()
        await say(page, "hello zoe")
        await ended(page)
        assert "threads" in page.url
    assert studio.complaints == []


async def test_on_a_phone(studio: Studio) -> None:
    async with chat_agent(studio.room):
        page = await studio.enter(phone=True)
        await say(page, "demo")
        await ended(page)
        assert await page.evaluate("document.documentElement.scrollWidth") == 390
        await studio.picture(page, "phone")
        threads = page.get_by_role("navigation", name="Threads")
        await expect(threads).to_be_hidden()
        await page.get_by_role("button", name="Threads and participants").click()
        await expect(threads.get_by_role("link", name="demo")).to_be_visible()
        await page.keyboard.press("Escape")
        await expect(threads).to_be_hidden()
    assert studio.complaints == []


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
async def test_text_has_enough_contrast(studio: Studio, dark: bool) -> None:
    async with chat_agent(studio.room):
        page = await studio.enter(dark=dark)
        await say(page, "demo")
        await ended(page)
        await page.get_by_role("button", name=re.compile("check_prices")).click()
        await say(page, "fail")
        await ended(page, 2)
        await say(page, "approve")
        await page.get_by_role("button", name="Approve", exact=True).wait_for()
        assert await page.evaluate(CONTRAST) == []


async def test_colours_can_be_chosen(studio: Studio) -> None:
    page = await studio.enter()
    background = "getComputedStyle(document.body).backgroundColor"
    light = await page.evaluate(background)
    for name in ("Colours: as the system", "Colours: light"):
        await page.get_by_role("button", name=name).click()
    dark = await page.evaluate(background)
    assert dark != light
    await page.reload()
    await conversation(page).wait_for()
    assert await page.evaluate(background) == dark
    assert studio.complaints == []


CONTRAST = """() => {
  const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const rgba = (color) => {
    canvas.clearRect(0, 0, 1, 1);
    canvas.fillStyle = color;
    canvas.fillRect(0, 0, 1, 1);
    const [r, g, b, a] = canvas.getImageData(0, 0, 1, 1).data;
    return [r, g, b, a / 255];
  };
  const over = (top, under) => top.slice(0, 3).map((c, i) => c * top[3] + under[i] * (1 - top[3]));
  const background = (el) => {
    if (!el) return [255, 255, 255];
    const own = rgba(getComputedStyle(el).backgroundColor);
    return own[3] === 1 ? own.slice(0, 3) : over(own, background(el.parentElement));
  };
  const light = (color) => {
    const linear = (c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
    const [r, g, b] = color.map((c) => linear(c / 255));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const weak = new Set();
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const el = walker.currentNode.parentElement;
    if (!walker.currentNode.textContent.trim() || !el.checkVisibility() || el.closest(":disabled")) continue;
    const under = background(el);
    const over_ = over(rgba(getComputedStyle(el).color), under);
    const [bright, dim] = [light(over_), light(under)].sort((a, b) => b - a);
    const ratio = (bright + 0.05) / (dim + 0.05);
    if (ratio < 4.5) weak.add(`${el.className || el.tagName}: ${ratio.toFixed(2)}`);
  }
  return [...weak];
}"""
