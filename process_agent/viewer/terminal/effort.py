"""`/effort` before there is a thread: kept for the one that the next message starts.

Agents do not list which efforts their models have (`models.response` takes no further fields), so that it is
the agent who checks the word, when the thread begins.
"""

from __future__ import annotations

from process_agent.core.content import TextPart
from process_agent.core.requests import ModelWish
from process_agent.core.slash import DEFAULT
from process_agent.viewer.client import AgentClient
from process_agent.viewer.view import AS_IT_IS, ThreadView


class Effort:
    """How much the model shall reason in the next thread; None is the model's own measure."""

    def __init__(self) -> None:
        self.chosen: str | None = None

    def choose(self, wanted: str) -> str:
        """Take a word, or nothing to be told what holds. Returns what to say."""
        if wanted:
            self.chosen = None if wanted == DEFAULT else wanted
        used = self.chosen or "the model's default"
        more = "" if self.chosen else " /effort LEVEL chooses one, like low or high."
        return f"Reasoning effort of the next thread: {used}.{more}"

    async def give(self, client: AgentClient, view: ThreadView, wish: ModelWish) -> ModelWish:
        """Tell the thread, for the model that it shall have. Returns what is left to be wished for."""
        chosen, self.chosen = self.chosen, None
        if chosen is None:
            return wish
        if wish != AS_IT_IS:
            await client.change_model(view.thread_id, wish)
        await view.start_turn((TextPart(f"/effort {chosen}"),))
        return AS_IT_IS
