"""The llm backend: models of any provider over HTTP."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from contextlib import aclosing
from typing import Final

from backends.llm.calling import ModelCalls, Retries
from backends.llm.efforts import effort_lines
from backends.llm.failures import told
from backends.llm.offer import Offer, hosted_lines, hosted_toolkits, make_offer
from backends.llm.skills import skills_text
from backends.llm.thread import LlmThread
from process_agent.core.backend import (
    BackendConfig,
    BackendSummary,
    BackendThread,
    HistoryItem,
    KeptState,
    ThreadState,
    ToolkitInfo,
)
from process_agent.core.hosting import IMAGES, WEB_SEARCH, ProviderTool
from process_agent.core.ids import ThreadId
from process_agent.core.models import ModelChoice, ProviderModels
from process_agent.core.providers import ModelProvider
from process_agent.core.title_words import ASK, INSTRUCTIONS, MAX_READ, asks_for_title, clean_title
from process_agent.core.usage import UNMETERED, Meter
from process_agent.errors import BackendError, TurnRefusedError
from process_agent.io.http_stream import HttpLimits, HttpStreams
from process_agent.io.interruption import Interruption
from process_agent.io.skills import find_skills
from process_agent.wire.llm import events as e
from process_agent.wire.llm.request import Message, ModelRequest, Text

NAME: Final = "llm"

TITLE_SECONDS: Final = 20.0
MAX_TITLES: Final = 16
"""Titles that are made at once."""


class LlmBackend:
    """Implements the port `Backend`."""

    def __init__(
        self, config: BackendConfig, *, limits: HttpLimits | None = None, retries: Retries | None = None
    ) -> None:
        self._config = config
        self._limits = limits
        self._retries = retries or Retries()
        self._offer = Offer((), ModelChoice(NAME))
        self._calls: ModelCalls | None = None
        self._titling = 0
        self._skills = ""

    @property
    def name(self) -> str:
        """The name in model specs."""
        return NAME

    @property
    def takes_tools(self) -> bool:
        """Models get the tools of the agent as functions."""
        return True

    @property
    def runs_commands(self) -> bool:
        """Models have only the tools they are given."""
        return False

    @property
    def takes_mcp(self) -> bool:
        """The agent connects to the servers of a turn, and models get their tools like its other ones."""
        return False

    @property
    def calls(self) -> ModelCalls:
        """Asks models. Raises `BackendError` when the backend does not run."""
        if self._calls is None:
            raise BackendError("The llm backend is not running.")
        return self._calls

    @property
    def instructions(self) -> str:
        """What every model of this agent is told first."""
        about = (
            f"You are {self._config.agent_name}, an assistant in a room where people chat with you. "
            "Your answers are shown as Markdown."
        )
        return f"{about}\n\n{self._skills}" if self._skills else about

    @property
    def effort(self) -> str | None:
        """How much models are to reason where no turn says."""
        return self._config.effort

    async def start(self) -> BackendSummary:
        """See which models there are. Raises `AuthError` when there is no key for any, and `UsageError`."""
        self._offer = make_offer(NAME, self._config)
        skills = await asyncio.to_thread(find_skills, self._config.skill_dirs)
        self._skills = skills_text(skills)
        self._calls = ModelCalls(HttpStreams(limits=self._limits), self._retries)
        names = ", ".join(skill.name for skill in skills)
        offer, config = self._offer, self._config
        lines = (*offer.lines(), *effort_lines(offer, config.effort), *hosted_lines(offer, config))
        return BackendSummary((*lines, *((("skills", names),) if names else ())))

    def models(self) -> Sequence[ProviderModels]:
        """The models that were named, or those that providers have by default."""
        return self._offer.models

    def default_model(self) -> ModelChoice:
        """The first of them."""
        return self._offer.default

    def toolkits(self) -> Sequence[ToolkitInfo]:
        """The tools of providers."""
        return hosted_toolkits(self._offer, self._config)

    def provider(self, choice: ModelChoice) -> tuple[ModelProvider, str]:
        """Who has this model, and its name there. Raises `TurnRefusedError`."""
        provider = self._offer.provider(choice.provider or self._offer.default.provider or "")
        model = choice.model or (provider.default_model if provider else None)
        if provider is None or model is None:
            raise TurnRefusedError(f"There is no provider {choice.provider!r} here.", code="unknown_provider")
        return provider, model

    @property
    def hosts_tools(self) -> AbstractSet[ProviderTool]:
        """See `core.hosting.HostedTools`."""
        return WEB_SEARCH | IMAGES if self._calls is None else self._offer.hosts_tools

    def hosted(self, provider: ModelProvider) -> tuple[bool, str | None]:
        """Whether this provider's own search is offered, and with which model it makes images."""
        making = self._config.image_model if provider.image_generation else None
        return self._config.web_search and provider.web_search, making

    def window(self, choice: ModelChoice) -> int | None:
        """Tokens of the model's context, if known."""
        return self._offer.window(choice)

    async def title(self, text: str, meter: Meter = UNMETERED) -> str | None:
        """A short name for a thread; see the port. The scripted model gives none that no script asks for."""
        if self._config.provider == "scripted" and not asks_for_title(text):
            return None
        if self._titling >= MAX_TITLES:
            raise BackendError("Too many threads want a name at once.")
        self._titling += 1
        try:
            async with asyncio.timeout(TITLE_SECONDS):
                said = await self._title(text, meter)
        except TimeoutError as error:
            raise BackendError(f"The model gave no title within {TITLE_SECONDS:g} s.") from error
        finally:
            self._titling -= 1
        title = clean_title(said)
        if not title:
            raise BackendError("The model gave an empty title.")
        return title

    async def open_thread(
        self, thread_id: ThreadId, history: Sequence[HistoryItem], state: ThreadState
    ) -> BackendThread:
        """Open a thread. Nothing is kept beside what the room keeps."""
        return LlmThread(self, thread_id, history)

    async def discard(self, thread_id: ThreadId, state: KeptState) -> None:
        """Nothing is kept."""

    def command(self, thread_id: ThreadId, state: KeptState) -> str | None:
        """There is no conversation but the room's."""
        return None

    async def close(self) -> None:
        """Close all connections. Idempotent."""
        calls, self._calls = self._calls, None
        if calls is not None:
            await calls.close()

    async def _title(self, text: str, meter: Meter) -> str:
        provider, model = self.provider(self._offer.default)
        ask = Message("user", (Text(ASK + text[:MAX_READ]),))
        request = ModelRequest(model, (ask,), INSTRUCTIONS, origin=provider.name, extra=provider.extra)
        said: list[str] = []
        async with aclosing(self.calls.ask(provider, request, Interruption(), meter, "title")) as heard:
            async for event in heard:
                match event:
                    case e.TextDelta(delta):
                        said.append(delta)
                    case e.Broken(error):
                        raise BackendError(told(error, provider, model).message)
                    case _:
                        pass
        return "".join(said)
