"""What a thread needs of its backend."""

from __future__ import annotations

from typing import Protocol

from backends.llm.calling import ModelCalls
from process_agent.core.models import ModelChoice
from process_agent.core.providers import ModelProvider


class Host(Protocol):
    """The backend, as its threads see it."""

    @property
    def calls(self) -> ModelCalls:
        """Asks models. Raises `BackendError` when the backend does not run."""
        ...

    @property
    def instructions(self) -> str:
        """What every model of this agent is told first."""
        ...

    @property
    def effort(self) -> str | None:
        """How much models are to reason where no turn says."""
        ...

    def provider(self, choice: ModelChoice) -> tuple[ModelProvider, str]:
        """Who has this model, and its name there. Raises `TurnRefusedError`."""
        ...

    def hosted(self, provider: ModelProvider) -> tuple[bool, str | None]:
        """Whether this provider's own search is offered, and with which model it makes images."""
        ...

    def window(self, choice: ModelChoice) -> int | None:
        """Tokens of the model's context, if known."""
        ...
