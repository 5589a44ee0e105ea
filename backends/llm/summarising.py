"""Has a model summarise a conversation, in parts where it does not fit at once."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import dataclass

from backends.llm import compaction
from backends.llm.calling import ModelCalls
from backends.llm.estimates import of_items
from backends.llm.failures import told
from backends.llm.hosted import for_provider
from process_agent.core.content import ErrorInfo
from process_agent.core.providers import ModelProvider
from process_agent.core.usage import Meter
from process_agent.io.interruption import Interruption
from process_agent.wire.llm import events as e
from process_agent.wire.llm.request import Item, ModelRequest

NO_SUMMARY = ErrorInfo("The model gave no summary of the conversation.", "no_summary")


@dataclass(slots=True)
class Summariser:
    """One model that summarises; `window` is its context in tokens, if known. Where the provider says that it
    is smaller than was thought, it is less afterwards.
    """

    calls: ModelCalls
    provider: ModelProvider
    model: str
    window: int | None
    instructions: str

    async def summarise(
        self, items: Sequence[Item], interruption: Interruption, meter: Meter
    ) -> str | ErrorInfo:
        """The summary, or why there is none. Raises `Interrupted`."""
        items = for_provider(items, self.provider.name)
        room = compaction.room_for(self.window)
        while True:
            found = await self._in_parts(items, room, interruption, meter)
            if isinstance(found, str):
                return found or NO_SUMMARY
            if found.kind is not e.ErrorKind.CONTEXT_LENGTH or room <= compaction.LEAST_ROOM:
                return told(found, self.provider, self.model)
            self.window = min(room, of_items(items))
            room = max(self.window // 2, compaction.LEAST_ROOM)

    async def _in_parts(
        self, items: Sequence[Item], room: int, interruption: Interruption, meter: Meter
    ) -> str | e.ApiError:
        summary = ""
        for part in compaction.parts(items, room):
            before = (compaction.so_far(summary),) if summary else ()
            found = await self._ask((*before, *part, compaction.ASK), interruption, meter)
            if isinstance(found, e.ApiError):
                return found
            if not found:
                return ""
            summary = compaction.fitting(found, room)
        return summary

    async def _ask(
        self, items: tuple[Item, ...], interruption: Interruption, meter: Meter
    ) -> str | e.ApiError:
        request = ModelRequest(
            self.model,
            items=items,
            instructions=self.instructions,
            origin=self.provider.name,
            extra=self.provider.extra,
        )
        said: list[str] = []
        failure: e.ApiError | None = None
        asked = self.calls.ask(self.provider, request, interruption, meter, "compaction")
        async with aclosing(asked) as heard:
            async for event in heard:
                match event:
                    case e.TextDelta(text):
                        said.append(text)
                    case e.Broken(error):
                        failure = error
                    case _:
                        pass
        return failure or "".join(said).strip()
