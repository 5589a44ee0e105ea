"""What `process doctor` makes of facts."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from process_agent import config
from process_agent.cli.checkup import verdicts
from process_agent.cli.checkup.credentials import credentials, duration
from process_agent.cli.checkup.facts import (
    Asked,
    DataFolder,
    Disk,
    Endpoint,
    Installation,
    LocalServer,
    plain_address,
)
from process_agent.cli.doctor import as_text
from process_agent.core.diagnosis import EXIT_CODES, Finding, failure, fine, warning, worst
from process_agent.rooms.login import SavedLogin
from process_agent.wire import participant_token as tokens

HERE = "http://127.0.0.1:1/v1/models"
NOW = 1_800_000_000.0


def endpoint(status: int | None, *, has_key: bool = True, **more: float) -> Finding:
    asked = Asked(HERE, status, None if status else "refused", **more)
    return verdicts.endpoint(Endpoint("openai", asked, has_key, "OPENAI_API_KEY", "OPENAI_BASE_URL"))


@pytest.mark.parametrize(
    ("status", "level", "word"),
    [
        (200, "ok", "the key is taken"),
        (404, "ok", "not checked"),
        (401, "error", "refused the key"),
        (403, "error", "refused the key"),
        (429, "warning", "429"),
        (503, "warning", "503"),
        (None, "error", "cannot be reached"),
    ],
)
def test_a_model_endpoint(status: int | None, level: str, word: str) -> None:
    found = endpoint(status)
    assert found.level == level
    assert word in found.text
    assert (found.fix is None) == (level == "ok")


def test_an_endpoint_without_a_key_and_a_slow_one() -> None:
    assert "none is set" in endpoint(401, has_key=False).text
    assert endpoint(200, seconds=9.0).level == "warning"


@pytest.mark.parametrize(
    ("skews", "level"),
    [([], "ok"), ([2.0], "ok"), ([-90.0], "warning"), ([4000.0], "error"), ([4000.0, 1.0], "ok")],
)
def test_the_clock(skews: list[float], level: str) -> None:
    found = verdicts.clock([Asked(HERE, 200, skew=skew) for skew in skews])
    assert found.level == level


def test_python_and_package() -> None:
    here = Installation((3, 13, 1), "/python", "1.0")
    assert verdicts.python(here).level == "ok"
    assert verdicts.python(replace(here, python=(3, 12, 9))).level == "error"
    assert verdicts.package(here, ["local"]).level == "ok"
    assert verdicts.package(replace(here, missing=("mail", "local")), ["codex"]).level == "ok"
    found = verdicts.package(replace(here, missing=("local", "mail")), ["local", "codex"])
    assert found.level == "warning"
    assert "process-agent[local]" in str(found.fix)


def test_the_data_folder() -> None:
    sound = DataFolder(Path("/data"), True, True, key_mode=0o600)
    assert worst(verdicts.data_folder(sound)) == "ok"
    assert worst(verdicts.data_folder(replace(sound, exists=False))) == "ok"
    assert worst(verdicts.data_folder(replace(sound, mode=0o755))) == "warning"
    assert worst(verdicts.data_folder(replace(sound, key_mode=0o644))) == "error"
    assert worst(verdicts.data_folder(replace(sound, writable=False))) == "error"
    assert worst(verdicts.data_folder(replace(sound, ours=False))) == "error"


def test_disks_port_and_room() -> None:
    plenty = Disk(Path("/"), "rooms", 10 * 1024**3)
    assert [f.level for f in verdicts.disks([plenty])] == ["ok"]
    assert [f.level for f in verdicts.disks([plenty, replace(plenty, free=1024**2 * 500)])] == ["warning"]
    assert [f.level for f in verdicts.disks([replace(plenty, free=5)])] == ["error"]
    assert worst(verdicts.local_room(LocalServer(None, 8722, port_free=False))) == "warning"
    assert worst(verdicts.local_room(LocalServer(None, 8722))) == "ok"
    levels = [verdicts.room("demo", Asked(HERE, status)).level for status in (200, 403, 404, 423, 500)]
    assert levels == ["ok", "warning", "error", "error", "warning"]


def test_tokens_say_who_where_and_how_long() -> None:
    def token(expires: float | None) -> list[Finding]:
        grant = tokens.ParticipantToken("bot", "demo", "agent", tokens.default_api("agent"))
        grant = replace(grant, expires=None if expires is None else int(expires))
        text = tokens.encode(grant, "k" * 64)
        settings = config.load({"HOME": "/home/ana", "MESHAGENT_TOKEN": text})
        found = credentials(settings, None, local=False, now=NOW)
        assert text not in str(found)
        return found

    assert "bot as agent, room demo" in token(None)[0].text
    assert [f.level for f in (*token(None), *token(NOW + 90_000), *token(NOW + 60), *token(NOW - 60))] == [
        "ok",
        "ok",
        "warning",
        "error",
    ]


def test_other_credentials() -> None:
    def level(variables: dict[str, str], login: SavedLogin | None = None) -> str:
        settings = config.load({"HOME": "/home/ana", **variables})
        found = credentials(settings, login, local=False, now=NOW)
        assert not any(value in str(found) for value in variables.values() if len(value) > 8)
        return worst(found)

    assert level({}) == "ok"
    assert level({"MESHAGENT_API_KEY": "ma-not-a-key-of-theirs"}) == "error"
    assert level({"MESHAGENT_TOKEN": "a.damaged.token"}) == "error"
    saved = SavedLogin("https://api.example", "token", NOW + 600, "p1")
    assert level({}, saved) == "ok"
    assert level({}, replace(saved, expires=NOW - 1)) == "error"
    assert level({}, replace(saved, project_id=None)) == "error"
    assert level({}, replace(saved, access_token=None, api_keys={"p1": "key"})) == "ok"


def test_addresses_lose_passwords() -> None:
    assert plain_address("https://ana:secret@host:8/v1?key=1#x") == "https://host:8/v1"


def test_text_and_exit_codes() -> None:
    findings = [fine("python", "3.13"), warning("disk", "little\x1b[31m", "Make room.")]
    text = as_text(findings)
    assert "→ Make room." in text
    assert "\x1b" not in text
    assert text.endswith("1 warning.")
    assert as_text([fine("a", "b")]).endswith("All is well.")
    assert EXIT_CODES[worst([*findings, failure("x", "y", "z")])] == 2
    assert EXIT_CODES[worst(findings)] == 1
    assert duration(7200) == "2 h"
