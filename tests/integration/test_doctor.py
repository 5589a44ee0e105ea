"""`process doctor`'s probes against stand-ins on loopback."""

from __future__ import annotations

import os
import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from process_agent import config
from process_agent.cli.checkup.examination import Examination, examine
from process_agent.cli.providers import parse_providers
from process_agent.core.diagnosis import Finding
from tests.fakes.accounts import Accounts, accounts

KEY = "ma-AAAAAAAAAAAAAAAAAAAAAA-AAAAAAAAAAAAAAAAAAAAAA-very.secret.part"


@asynccontextmanager
async def looked(
    tmp_path: Path, room: str | None = None, **variables: str
) -> AsyncIterator[Sequence[Finding]]:
    """The findings without Codex and without a sandbox, which are looked at in a contract test."""
    work = tmp_path / "work"
    work.mkdir(exist_ok=True)
    settings = config.load({"HOME": str(tmp_path), **variables})
    yield await examine(Examination(settings, room, False, (), tmp_path / "data", None, work, "full-access"))


def level(findings: Sequence[Finding], subject: str) -> str:
    return next(finding.level for finding in findings if finding.subject == subject)


async def hosted(tmp_path: Path, url: str, room: str) -> Sequence[Finding]:
    async with looked(tmp_path, room, MESHAGENT_API_URL=url, MESHAGENT_API_KEY=KEY) as findings:
        assert "secret" not in str(findings)
        return findings


@pytest.fixture
async def rest() -> AsyncIterator[tuple[str, Accounts]]:
    async with accounts() as there:
        yield there


async def test_a_hosted_room_that_is_there(
    tmp_path: Path, rest: tuple[str, Accounts], monkeypatch: pytest.MonkeyPatch
) -> None:
    url, there = rest
    there.access.add(KEY)
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret-secret-secret")
    monkeypatch.setenv("OPENAI_BASE_URL", f"{url}/v1")
    found = await hosted(tmp_path, url, "demo")
    subjects = ("meshagent api", "room", "credentials", "clock", "models openai")
    assert [level(found, subject) for subject in subjects] == ["ok"] * len(subjects)
    assert "GET /v1/models" in there.seen


async def test_a_room_that_is_not_there_and_a_clock_that_is_wrong(
    tmp_path: Path, rest: tuple[str, Accounts]
) -> None:
    url, there = rest
    there.access.add(KEY)
    there.clock_offset = 900
    found = await hosted(tmp_path, url, "nowhere")
    assert level(found, "room") == "error"
    assert level(found, "clock") == "error"


async def test_credentials_that_are_refused(tmp_path: Path, rest: tuple[str, Accounts]) -> None:
    assert level(await hosted(tmp_path, rest[0], "demo"), "room") == "warning"


async def test_an_api_that_cannot_be_reached(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as gone:
        port = gone.getsockname()[1]
    found = await hosted(tmp_path, f"http://127.0.0.1:{port}", "demo")
    assert level(found, "meshagent api") == "error"


async def test_nothing_is_changed_where_nothing_is(tmp_path: Path) -> None:
    async with looked(tmp_path) as findings:
        assert level(findings, "data folder") == "ok"
        assert level(findings, "sandbox") == "warning"
    assert os.listdir(tmp_path) == ["work"]


async def test_who_pays_for_models(
    tmp_path: Path, rest: tuple[str, Accounts], monkeypatch: pytest.MonkeyPatch
) -> None:
    url, _ = rest
    monkeypatch.setenv("MINE_API_KEY", "sk-of-my-own")
    wish = Examination(
        config.load({"HOME": str(tmp_path)}), None, True, (), tmp_path / "data", None, tmp_path, "full-access"
    )

    async def said(*provider: str) -> list[Finding]:
        chosen = parse_providers(provider, [f"{each.partition('=')[0]}/any" for each in provider])
        findings = await examine(replace(wish, providers=chosen))
        return [finding for finding in findings if finding.subject.startswith("models")]

    assert [found.level for found in await said("scripted", f"mine={url}/v1")] == ["ok", "ok"]
    [refused] = await said("meshagent")
    assert "hosted room" in refused.text
    [dead] = await said("mine=http://127.0.0.1:1/v1")
    assert dead.level == "error"
    assert "sk-of-my-own" not in str(dead)
