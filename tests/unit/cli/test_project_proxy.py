"""`--provider meshagent`: the project of a hosted room pays for the models."""

from __future__ import annotations

from pathlib import Path

import jwt
import pytest

from process_agent.cli.joining import model_endpoint
from process_agent.errors import AuthError, UsageError
from tests.unit.cli.test_channel_flags import options, settings

SECRET = "s" * 64


def token(**api: object) -> str:
    grants = [
        {"name": "room", "scope": "demo"},
        {"name": "role", "scope": "agent"},
        {"name": "api", "scope": api},
    ]
    return jwt.encode({"name": "bot", "grants": grants}, SECRET, algorithm="HS256")


async def test_the_token_is_the_key_of_the_proxy(tmp_path: Path) -> None:
    given = token(llm={}, messaging={})
    environ = {"MESHAGENT_TOKEN": given, "MESHAGENT_API_URL": "https://api.mesh.example"}
    wanted = options(tmp_path, "chat", local=False, provider=["meshagent"])
    async with model_endpoint(wanted, settings(tmp_path, OPENAI_API_KEY="sk-other", **environ)) as config:
        backend = config.backend
        assert (backend.provider, backend.api_key) == ("meshagent", given)
        assert backend.base_url == "https://api.mesh.example/openai/v1"
        assert given not in repr(backend)


async def test_a_token_that_may_not_use_models_is_told_so(tmp_path: Path) -> None:
    wanted = options(tmp_path, "chat", local=False, provider=["meshagent"])
    with pytest.raises(AuthError, match="no grant `llm`"):
        async with model_endpoint(wanted, settings(tmp_path, MESHAGENT_TOKEN=token(messaging={}))):
            raise AssertionError("it went on")


@pytest.mark.parametrize("local", [True, False])
async def test_a_local_room_has_no_project(tmp_path: Path, local: bool) -> None:
    wanted = options(tmp_path, "chat", local=local, provider=["meshagent"])
    with pytest.raises(UsageError, match="needs a hosted room"):
        async with model_endpoint(wanted, settings(tmp_path)):
            raise AssertionError("it went on")


async def test_further_providers_get_the_keys_named_after_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MY_GPU_API_KEY", "of-the-gpu")
    wanted = options(
        tmp_path,
        "chat",
        provider=["my-gpu=https://gpu.example/v1/", "free=http://127.0.0.1:8000/v1"],
        models=["codex/my-gpu/llama", "codex/free/qwen/large"],
    )
    async with model_endpoint(wanted, settings(tmp_path)) as config:
        found = [(e.name, e.base_url, e.api_key) for e in config.backend.endpoints]
    assert found == [
        ("my-gpu", "https://gpu.example/v1", "of-the-gpu"),
        ("free", "http://127.0.0.1:8000/v1", None),
    ]
