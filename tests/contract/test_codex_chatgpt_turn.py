"""A turn of a ChatGPT account: the real Codex with its own provider, and a stand-in for ChatGPT over TLS."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

from process_agent.scripted.server import ScriptedServer
from tests.contract.codex_room import codex_room
from tests.fakes.chatgpt import ACCOUNT, token
from tests.fakes.chatgpt_backend import chatgpt_backend


async def test_its_token_pays_where_the_proxys_authority_is_trusted(
    tmp_path: Path, model: ScriptedServer
) -> None:
    home = tmp_path / "codex-home"
    home.mkdir()
    access = token(kind="access")
    tokens = {"id_token": token(), "access_token": access, "refresh_token": "r", "account_id": ACCOUNT}
    login = {"auth_mode": "chatgpt", "tokens": tokens, "last_refresh": datetime.now(UTC).isoformat()}
    (home / "auth.json").write_text(json.dumps(login))
    with chatgpt_backend(tmp_path, ACCOUNT, model) as there:
        (home / "config.toml").write_text(
            f'chatgpt_base_url = "{there.url}/backend-api"\n[features]\nenable_request_compression = false\n'
        )
        environment = {"CODEX_CA_CERTIFICATE": str(there.authority)}
        async with codex_room(tmp_path, connect=False, home=home, environment=environment) as room:
            assert dict(room.summary.lines)["account"] == "ChatGPT login (plus)"
            assert (await room.turn(await room.thread(), "say one")).text == "one"
    sent = there.headers[-1]
    assert (sent["authorization"], sent["chatgpt-account-id"]) == (f"Bearer {access}", ACCOUNT)
