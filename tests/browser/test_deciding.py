"""Approval cards and questions in Studio, with the agent's own supervisor behind them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Locator, Page, expect

from process_agent.core import events as e
from process_agent.core.content import ErrorInfo, JsonResult
from process_agent.core.decisions import EVERY, Decision, Option, Question
from process_agent.core.ids import AskId, ItemId
from tests.browser.driver import Studio, conversation, ended, say, turns
from tests.contract.agent_room import AGENT, agent_in
from tests.fakes.backend import FakeBackend, PlayedTurn

pytestmark = pytest.mark.asyncio(loop_scope="session")

SHELL = e.ToolRef(ItemId("shell"), "codex", "shell", "codex")
EDIT = e.ToolRef(ItemId("edit"), "codex", "apply_patch", "codex")
ASK = e.ToolRef(ItemId("ask"), "codex", "request_user_input", "codex")
COMMAND: dict[str, Any] = {
    "command": "git push --force origin main && ./deploy.sh production",
    "cwd": "/workspace/shop/backend",
}
PATCH = (
    "diff --git a//etc/hosts b//etc/hosts\n--- a//etc/hosts\n+++ b//etc/hosts\n@@ -1,2 +1,3 @@\n"
    " 127.0.0.1 localhost\n-10.0.0.1 shop\n+10.0.0.2 shop\n+10.0.0.3 backend\n"
)
COLOUR = Question(
    "colour", "Which colour shall it have?", "Colour", (Option("Red", "warm"), Option("Blue", "cold"))
)


def command(turn: PlayedTurn) -> None:
    reason = "The push and the deployment need the network."
    turn.say(e.ToolStarted(SHELL, COMMAND), e.ApprovalRequested(SHELL, COMMAND, reason, EVERY))


def card(page: Page, asks: str) -> Locator:
    return page.get_by_role("group", name=f"{AGENT} asks{asks}")


@pytest.mark.parametrize(
    ("button", "decision", "outcome"),
    [
        ("Approve for this session", Decision.ACCEPT_FOR_SESSION, "Approved for the session by ana"),
        ("Decline and stop", Decision.CANCEL, "Declined and stopped by ana"),
    ],
)
async def test_the_finer_decisions(
    studio: Studio, tmp_path: Path, button: str, decision: Decision, outcome: str
) -> None:
    backend = FakeBackend()
    async with agent_in(studio.room, tmp_path, [backend]):
        page = await studio.enter()
        await say(page, "deploy")
        turn = await backend.turn(0)
        command(turn)
        asked = card(page, " to run a command")
        for text in (COMMAND["command"], COMMAND["cwd"], "The push and the deployment need the network."):
            await expect(asked).to_contain_text(text)
        await expect(conversation(page).get_by_text("asks to run a command")).to_have_count(1)
        await asked.get_by_role("button", name=button, exact=True).click()
        await expect(turns(page)).to_contain_text(outcome)
        assert turn.decisions == [(SHELL.item_id, decision)]
        if decision is not Decision.CANCEL:
            turn.say(e.ToolEnded(SHELL, JsonResult({"stdout": "", "stderr": "", "exit_code": 0})))
            turn.answer("It is deployed.")
        await ended(page)
        await page.reload()
        await expect(turns(page)).to_contain_text(outcome)
        await expect(conversation(page).get_by_text("asks to run a command")).to_have_count(0)
    assert studio.complaints == []


async def test_what_is_asked_is_seen_at_a_glance(studio: Studio, tmp_path: Path) -> None:
    backend = FakeBackend()
    async with agent_in(studio.room, tmp_path, [backend]):
        page = await studio.enter()
        await say(page, "deploy the shop and fix the hosts file")
        turn = await backend.turn(0)
        command(turn)
        turn.say(e.ToolStarted(EDIT, {"patch": PATCH}), e.ApprovalRequested(EDIT, {}, None, EVERY))
        turn.say(e.ToolStarted(ASK, {}), e.ApprovalRequested(ASK, {}, None, EVERY, (COLOUR,)))
        await expect(card(page, " to change files")).to_contain_text("10.0.0.3 backend")
        await expect(
            card(page, " to change files").get_by_role("button", name="Decline", exact=True)
        ).to_be_visible()
        await expect(card(page, "").last).to_contain_text("Which colour shall it have?")
        await studio.picture(page, "deciding")
        dark, phone = await studio.enter(dark=True), await studio.enter(phone=True)
        for name, other in (("dark", dark), ("phone", phone)):
            await other.goto(page.url)
            await expect(card(other, " to change files")).to_contain_text("10.0.0.3 backend")
            await studio.picture(other, f"deciding-{name}")
        turn.end()
        await ended(page)
    assert studio.complaints == []


async def test_on_a_phone_what_was_decided_leaves_room_for_what_it_was_about(
    studio: Studio, tmp_path: Path
) -> None:
    backend = FakeBackend()
    async with agent_in(studio.room, tmp_path, [backend]):
        page = await studio.enter(phone=True)
        await say(page, "fix the hosts file")
        turn = await backend.turn(0)
        turn.say(e.ToolStarted(EDIT, {"patch": PATCH}), e.ApprovalRequested(EDIT, {}, None, EVERY))
        await card(page, " to change files").get_by_role("button", name="Decline", exact=True).click()
        await expect(turns(page)).to_contain_text("Declined by ana")
        turn.say(e.ToolEnded(EDIT, error=ErrorInfo("The change was declined.", "declined")))
        came = "`AssertionError: total([2.0, 3.0], 0.0) is 0.0, not 5.0`"
        turn.answer(f"| | what came of it |\n|-|-|\n| before | {came} |")
        await ended(page)
        title = turns(page).locator(".step-title")
        assert await title.evaluate("title => title.scrollWidth <= title.clientWidth"), "cut off"
        cell = turns(page).get_by_role("cell", name="before")
        lines = """cell => {
            const words = document.createRange();
            words.selectNodeContents(cell);
            return words.getClientRects().length;
        }"""
        assert await cell.evaluate(lines) == 1, "a word is broken"
        await studio.picture(page, "decided-phone")
    assert studio.complaints == []


async def test_a_question_is_answered_with_the_card_or_with_a_message(studio: Studio, tmp_path: Path) -> None:
    backend = FakeBackend()
    async with agent_in(studio.room, tmp_path, [backend]):
        page = await studio.enter()
        await say(page, "paint it")
        turn = await backend.turn(0)
        decisions = (Decision.ACCEPT, Decision.DECLINE, Decision.CANCEL)
        turn.say(e.ToolStarted(ASK, {}), e.ApprovalRequested(ASK, {}, None, decisions, (COLOUR,)))
        asked = card(page, "")
        await expect(asked.get_by_role("button", name="Answer")).to_be_disabled()
        await asked.get_by_text("Blue").click()
        await asked.get_by_role("button", name="Answer").click()
        await expect(turns(page).first).to_contain_text("Answered by ana: Blue")
        again = e.ToolRef(ItemId("again"), "codex", "request_user_input", "codex")
        turn.say(e.ToolEnded(ASK), e.ToolStarted(again, {}))
        turn.say(e.ApprovalRequested(again, {}, None, decisions, (COLOUR,)))
        await expect(card(page, "")).to_be_visible()
        await say(page, "1")
        await expect(turns(page).first).to_contain_text("Answered by ana: Red")
        await expect(turns(page).last).to_contain_text("Passed on to the agent.")
        assert turn.form_answers == [{"colour": ("Blue",)}, {"colour": ("Red",)}]
        turn.answer("Painted.")
        await ended(page, 2)
    assert studio.complaints == []


async def test_one_who_may_not_decide_is_told_so_and_another_decides(studio: Studio, tmp_path: Path) -> None:
    backend = FakeBackend()
    async with agent_in(studio.room, tmp_path, [backend], approvers=["ben"]):
        ana = await studio.enter()
        await say(ana, "deploy")
        turn = await backend.turn(0)
        command(turn)
        turn.say(e.ToolStarted(ASK, {}), e.ApprovalRequested(ASK, {}, None, EVERY, (COLOUR,)))
        asked = card(ana, " to run a command")
        await expect(asked).to_contain_text("request 1")
        await expect(asked).to_contain_text("Waits for ben")
        await expect(asked.get_by_role("button")).to_have_count(0)
        question = card(ana, "").last
        await expect(question).to_contain_text("Waits for ben")
        await expect(question.get_by_role("radio", disabled=True)).to_have_count(2)
        await expect(question.get_by_role("button")).to_have_count(0)
        await studio.picture(ana, "waits-for")
        await say(ana, "/approve")
        await expect(turns(ana).last).to_contain_text("ana may not decide here. It is up to ben.")
        assert turn.decisions == []
        ben = await studio.enter("ben")
        await ben.goto(ana.url)
        await expect(card(ben, "").last).to_contain_text("request 2")
        turn.say(e.SecretRequested(AskId("key"), "DEPLOY_KEY", "The key of the deployment."))
        await expect(turns(ben).first).to_contain_text("asks ana for a secret: DEPLOY_KEY")
        await expect(ana.get_by_role("group", name=f"{AGENT} asks you for DEPLOY_KEY")).to_be_visible()
        await expect(conversation(ben)).not_to_contain_text("The key of the deployment.")
        await studio.picture(ana, "secret-asked")
        await studio.picture(ben, "deciding-two")
        await card(ben, " to run a command").get_by_role("button", name="Approve", exact=True).click()
        for page in (ana, ben):
            await expect(turns(page).first).to_contain_text("Approved by ben")
        turn.end()
        await ended(ana, 2)
    assert studio.complaints == []
