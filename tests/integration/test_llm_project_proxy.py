"""`--provider meshagent`: language models through a stand-in for MeshAgent's proxy, paid by a token."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from backends.llm.backend import LlmBackend
from process_agent.cli.joining import model_endpoint
from process_agent.core import events as e
from process_agent.scripted.server import ScriptedServer
from tests.contract.codex_room import script
from tests.fakes.llm_room import MODELS, QUICK, LlmRoom
from tests.fakes.project_proxy import ProjectProxy, project_proxy, token
from tests.unit.cli.test_channel_flags import options, settings

OF_PROXY = ("responses", "messages")


@asynccontextmanager
async def proxied(folder: Path, given: str) -> AsyncIterator[tuple[LlmRoom, ProjectProxy]]:
    """A backend as `process join --provider meshagent` makes it, in a hosted room at the proxy's address."""
    async with ScriptedServer() as model, project_proxy(model) as (url, proxy):
        environ = {"MESHAGENT_TOKEN": given, "MESHAGENT_API_URL": url, "OPENAI_API_KEY": "sk-of-somebody"}
        wanted = options(folder, "chat", local=False, provider=["meshagent"])
        async with model_endpoint(wanted, settings(folder, **environ)) as config:
            models = tuple(MODELS[dialect] for dialect in OF_PROXY)
            backend = LlmBackend(replace(config.backend, models=models), retries=QUICK)
            await backend.start()
            try:
                yield LlmRoom(backend, model), proxy
            finally:
                await backend.close()


@pytest.mark.parametrize("dialect", OF_PROXY)
async def test_the_token_pays_and_the_provider_never_sees_it(tmp_path: Path, dialect: str) -> None:
    given = token()
    async with proxied(tmp_path, given) as (room, proxy):
        told = await room.turn(await room.thread(), "say through", model=MODELS[dialect])
        assert (told.text, told.end.reason) == ("through", e.EndReason.COMPLETED)
        assert [path.rpartition("/")[2] for path, _ in proxy.seen] == [dialect]
        assert given not in str(room.model.requests)
        assert [(c.usage.input, c.usage.output) for c in room.calls.heard if c.usage] == room.charged
        entry = next(m for m in room.backend.models() if m.name == MODELS[dialect].provider)
        assert entry.models[0].pricing is None  # what MeshAgent charges is not the provider's list


@pytest.mark.parametrize("dialect", OF_PROXY)
@pytest.mark.parametrize(
    ("given", "code"),
    [
        (token(api={"llm": {"models": ["openai/o3", "anthropic/claude-3*"]}}), "model_forbidden"),
        (token("t" * 64), "model_auth_failed"),
    ],
    ids=["another model", "a key that is gone"],
)
async def test_what_the_proxy_refuses_ends_the_turn_with_its_reason(
    tmp_path: Path, dialect: str, given: str, code: str
) -> None:
    async with proxied(tmp_path, given) as (room, proxy):
        told = await room.turn(await room.thread(), "say x", model=MODELS[dialect])
        assert told.end.error is not None
        assert told.end.error.code == code
        assert given not in told.end.error.message
        assert proxy.seen == []
        assert room.calls.heard == []


async def test_a_list_with_a_star_lets_its_models_through(tmp_path: Path) -> None:
    async with proxied(tmp_path, token(api={"llm": {"models": ["openai/gpt-5*"]}})) as (room, _):
        thread = await room.thread()
        told = await room.turn(thread, "say one", model=MODELS["responses"])
        assert told.text == "one"
        refused = await room.turn(thread, "say two", model=MODELS["messages"])
        assert refused.end.error is not None
        assert refused.end.error.code == "model_forbidden"


@pytest.mark.parametrize("dialect", OF_PROXY)
async def test_failures_of_the_provider_come_through(tmp_path: Path, dialect: str) -> None:
    fault = {"fault": 429, "code": "rate_limit_exceeded", "retry_after": 0, "times": 1}
    async with proxied(tmp_path, token()) as (room, _):
        told = await room.turn(await room.thread(), script(fault, {"say": "at last"}), model=MODELS[dialect])
        assert told.text == "at last"
        cut = await room.turn(await room.thread(), script({"say": "half"}, {"fault": "disconnect"}))
        assert cut.end.error is not None
        assert cut.end.error.code == "model_answer_cut"
        assert cut.text == "half"
