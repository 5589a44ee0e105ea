"""What the interactive terminal does with an agent: one open thread at a time, and the slash commands.

Knows nothing of keys and screens; `repl` puts it on one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import assert_never

from rich.console import RenderableType
from rich.text import Text

from process_agent.core.content import ContentPart, TextPart, plain_text
from process_agent.core.decisions import Decision
from process_agent.core.events import ThreadCleared
from process_agent.core.ids import AskId, TurnId
from process_agent.core.titles import title_of
from process_agent.errors import ProcessError, UsageError
from process_agent.io.tasks import Tasks
from process_agent.viewer import secrets
from process_agent.viewer.approvals import Deciding, waits_for
from process_agent.viewer.approve import Approve
from process_agent.viewer.attaching import Attaching
from process_agent.viewer.client import AgentClient
from process_agent.viewer.items import AskedSecret, ToolItem, Turn, TurnState
from process_agent.viewer.terminal import commands as c
from process_agent.viewer.terminal import listings, naming, pending, render
from process_agent.viewer.terminal.effort import Effort
from process_agent.viewer.terminal.known import Known
from process_agent.viewer.terminal.past import LOADED_TURNS, Past
from process_agent.viewer.terminal.saving import Saving
from process_agent.viewer.terminal.scroll import Scroll
from process_agent.viewer.updates import Failed, Happened, Loaded, Offline, Older, Online
from process_agent.viewer.view import AS_IT_IS, ThreadView

NO_THREAD = "Say something to start one, or /open one of /threads."


class Session:
    """One person's conversation with one agent.

    `show` prints for good; `changed` is called when something may have to be drawn; `give_back` puts a text
    that could not be sent into the input line again.
    """

    def __init__(
        self,
        client: AgentClient,
        *,
        me: str | None,
        approve: Approve,
        show: Callable[[Sequence[RenderableType]], None],
        changed: Callable[[], None],
        give_back: Callable[[str], None],
    ) -> None:
        self.client = client
        self.me = me
        self.view: ThreadView | None = None
        self.scroll = Scroll(me)
        self.known = Known(client, changed)
        self.offline: str | None = None
        self.starting: str | None = None
        self.loading = self.uploading = False
        self.wish = AS_IT_IS
        self.effort = Effort()
        self.saving = Saving()
        self.attaching = Attaching()
        self._show = show
        self._changed = changed
        self._give_back = give_back
        self._past = Past(show, me)
        self._deciding = Deciding(approve)
        self._answered: set[tuple[TurnId, AskId]] = set()
        self._tasks = Tasks("terminal session")

    async def start(self) -> None:
        """Learn the models and thread names in the background."""
        await self.known.watch()
        self._tasks.start(self.known.learn(), "learn models and threads")

    async def close(self) -> list[str]:
        """Close what is open. Idempotent. Returns the paths of attached files that had to stay in the room
        although they were never sent.
        """
        await self._tasks.close()
        await self._close_view()
        return await self.attaching.close()

    # --- What is shown ----------------------------------------------------------------------------

    def take(self, width: int) -> list[RenderableType]:
        """What became final since the last call."""
        self._past.width = width
        if self.view is None or self.loading:
            return []
        return self.scroll.take(self.view.transcript, width)

    def live(self, width: int) -> list[RenderableType]:
        """What is under way."""
        shown: list[RenderableType] = []
        if self.view is not None and not self.loading:
            shown.extend(self.scroll.live(self.view.transcript, width))
            shown.extend(render.sending(plain_text(content)) for content in self.view.unacknowledged)
        if self.starting is not None:
            shown.append(render.sending(self.starting))
        if self.asked_secret is not None:
            return [*shown, Text(), *render.asked_secret(self.asked_secret)]
        shown += pending.shown(self.attaching.pending)
        waiting = self.waiting
        if waiting and self._deciding.approve is Approve.ASK:
            item, others = waiting[0][1], [other.request for _, other in waiting[1:]]
            shown += [Text(), *render.approval(item, others, waits_for(item.request, self.client.me))]
        return shown

    @property
    def running(self) -> Turn | None:
        """The turn under way, or the next one that is queued."""
        if self.view is None:
            return None
        queued = (t for t in self.view.transcript.turns if t.state is TurnState.QUEUED)
        return self.view.transcript.running or next(queued, None)

    @property
    def busy(self) -> str | None:
        """A few words on what goes on, or None."""
        if not self.client.online:
            return "The room connection was lost; trying to get it back"
        if self.offline is not None:
            return self.offline
        if self.uploading:
            return "Attaching"
        if self.loading:
            return "Loading the thread"
        if self.starting is not None:
            return "Starting a thread"
        turn = self.running
        if turn is None or self.view is None:
            return None
        return self.view.transcript.status.text or str(turn.state).capitalize()

    @property
    def waiting(self) -> list[tuple[Turn, ToolItem]]:
        """What waits for an approval that was not given here yet."""
        return [] if self.view is None or self.loading else self._deciding.waiting(self.view)

    def offers(self, decision: Decision) -> bool:
        """Whether the oldest request can be decided so, here, by us; questions are answered in words."""
        if self.view is None or self.loading:
            return False
        return self._deciding.offers(self.view, self.client.me, decision)

    @property
    def asked_secret(self) -> AskedSecret | None:
        """The secret that we are asked for and did not answer yet."""
        if self.view is None or self.loading:
            return None
        asked = self.view.transcript.asked_secrets()
        return next((a for a in asked if (a.turn_id, a.request.ask_id) not in self._answered), None)

    @property
    def thread_name(self) -> str | None:
        """The name of the open thread."""
        return None if self.view is None else self.known.name(self.view.thread_id)

    @property
    def model(self) -> str | None:
        """The model of the next turn, when it is known."""
        chosen = None if self.view is None else self.view.model
        if known := self.wish.model or (chosen and chosen.model):
            return known
        turns = () if self.view is None else self.view.transcript.turns
        return next((t.model for t in reversed(turns) if t.model), None)

    # --- What is done -----------------------------------------------------------------------------

    async def perform(self, command: c.Command) -> bool:
        """Do it; errors are shown. False when it was the wish to leave."""
        if isinstance(command, c.Quit):
            return False
        try:
            await self._perform(command)
        except ProcessError as error:
            self._show([render.warning(str(error))])
            if isinstance(command, c.Say):
                self._give_back(command.text)
        self._changed()
        return True

    async def _perform(self, command: c.Command) -> None:
        match command:
            case c.ForAgent(text) if self.view is None:
                self._without_thread(text)
            case c.Say() | c.ForAgent():
                await self._say(command)
            case c.Attach() | c.Detach():
                await self._attach(command)
            case c.ChooseModel():
                await self._choose_model(command)
            case c.OpenThreadNamed(ref):
                await self.open(ref)
            case c.NewThread():
                await self._close_view()
                self._show([render.notice("The next message starts a new thread.")])
            case c.Stop():
                await self.stop()
            case c.Save():
                self._show([render.notice(await self.saving.save(command, self.view))])
            case c.Quit():
                raise AssertionError("handled by perform")
            case _:
                await self._show_what(command)

    def _without_thread(self, command: str) -> None:
        """A command of the agent's, before there is a thread."""
        name, _, rest = command.partition(" ")
        if name != "/effort":
            raise UsageError(f"{name} is about a thread, and none is open.", fix=NO_THREAD)
        self._show([render.notice(self.effort.choose(rest.lower()))])

    async def _show_what(
        self, command: c.Help | c.ShowModels | c.ShowThreads | c.ShowOutput | c.ShowOlder | c.ShowStatus
    ) -> None:
        match command:
            case c.Help():
                self._show([render.table(listings.HELP)])
            case c.ShowModels():
                self._show(await self.known.models_shown(self.model))
            case c.ShowThreads():
                here = None if self.view is None else self.view.thread_id
                self._show(await self.known.threads_shown(here))
            case c.ShowOutput(number):
                self._show(self.scroll.output(number))
            case c.ShowOlder():
                await self._past.show(None if self.loading else self.view)
            case c.ShowStatus():
                self._show([render.table([*self._facts()])])
            case _:
                assert_never(command)

    def _facts(self) -> Iterator[tuple[str, str]]:
        yield "agent", self.client.agent_name if self.client.online else "not connected"
        yield "model", self.model or "the agent's own choice"
        if self.effort.chosen is not None:
            yield "effort", self.effort.chosen
        thread = self.view and f"{self.thread_name or ''} {self.view.thread_id}".strip()
        yield "thread", thread or "none is open"
        yield "in the room", ", ".join((f"{self.me or 'you'} (you)", *self.client.others))
        yield from () if self.view is None else listings.figures(self.view.transcript)

    async def _say(self, said: c.Say | c.ForAgent) -> None:
        files = self.attaching.take() if isinstance(said, c.Say) else ()
        try:
            await self._send(said.text, (TextPart(said.text), *(one.part for one in files)))
        except ProcessError:
            self.attaching.give_back(files)
            raise

    async def _attach(self, command: c.Attach | c.Detach) -> None:
        self.uploading = True
        self._changed()
        try:
            self._show([render.notice(await pending.perform(command, self.attaching))])
        finally:
            self.uploading = False

    async def _send(self, text: str, content: tuple[ContentPart, ...]) -> None:
        view = self.view or await self._start_thread(text, content)
        self.wish = await self.effort.give(self.client, view, self.wish)
        turn_id = view.steerable
        if turn_id is not None and self.offline is None:
            await view.steer(turn_id, content)
        else:
            wish, self.wish = self.wish, AS_IT_IS
            await view.start_turn(content, wish)

    async def _start_thread(self, text: str, content: tuple[ContentPart, ...]) -> ThreadView:
        self.starting = text
        self._changed()
        try:
            view = await self.client.start_thread(title_of(content))
        finally:
            self.starting = None
        self._follow_view(view)
        return view

    async def stop(self) -> None:
        """Ask to stop what runs."""
        turn = self.running
        if turn is None or self.view is None:
            self._show([render.notice("Nothing runs.")])
        else:
            await self.view.interrupt(turn.id)

    async def decide(self, decision: Decision) -> None:
        """Answer the oldest request for approval."""
        if self.view is not None and not self.loading:
            await self._deciding.decide(self.view, decision)

    def claim_secret(self) -> AskedSecret | None:
        """The oldest request for a secret, for the one who answers it now; it is asked no more."""
        asked = self.asked_secret
        if asked is not None:
            self._answered.add((asked.turn_id, asked.request.ask_id))
        return asked

    async def answer_secret(self, asked: AskedSecret, value: str) -> None:
        """Give a secret that was claimed; an empty value refuses it."""
        if self.view is not None:
            await self.view.answer_secret(asked.turn_id, asked.request.ask_id, secrets.answer(asked, value))

    async def open(self, ref: str) -> None:
        """Open the thread that `ref` names; see `naming.resolve_thread`."""
        thread_id = await self.known.thread(ref)
        await self._close_view()
        self.wish, self.effort = AS_IT_IS, Effort()
        self.loading = True
        self._follow_view(self.client.open_thread(thread_id, recent=LOADED_TURNS))

    async def _choose_model(self, command: c.ChooseModel) -> None:
        wish = await self.known.model(command.name, None if self.view is None else self.view.model)
        if self.view is None:
            self.wish = wish
        else:
            await self.client.change_model(self.view.thread_id, wish)
        self._show([render.notice(f"From the next turn on: {naming.full_name(wish)}")])

    # --- The open thread --------------------------------------------------------------------------

    def _follow_view(self, view: ThreadView) -> None:
        self.view = view
        self.scroll = Scroll(self.me)
        self._past.forget()
        self._deciding.clear()
        self._answered.clear()
        self._tasks.start(self._follow(view), "follow the thread")

    async def _close_view(self) -> None:
        view, self.view = self.view, None
        self.offline, self.loading = None, False
        if view is not None:
            await view.close()

    async def _follow(self, view: ThreadView) -> None:
        async for update in view.updates():
            if view is not self.view:
                return
            match update:
                case Happened():
                    await self._happened(update)
                case Loaded():
                    self._loaded(view)
                case Older():
                    self._past.came(view, update)
                case Offline(reason):
                    self.offline = reason.rstrip(".")
                    self._show([render.warning(f"{reason} Waiting for it to come back.")])
                case Online():
                    self.offline = None
                    self._show([render.notice("Back again.")])
                case Failed(error):
                    self._show([render.warning(str(error))])
                    await self._close_view()
                case _:
                    assert_never(update)
            self._changed()

    async def _happened(self, happened: Happened) -> None:
        if (refusal := self._deciding.refused(happened.received)) is not None:
            self._show([render.warning(refusal)])
        if happened.change is None or self.loading:
            return
        if isinstance(happened.change.event.body, ThreadCleared):
            self._past.forget()
            self._show([Text(), render.notice("── the thread was cleared ──")])
        if self.view is not None:
            await self._deciding.decide_alone(self.view, self.client.me)

    def _loaded(self, view: ThreadView) -> None:
        if not self.loading:
            return
        name = self.known.name(view.thread_id)
        head: list[RenderableType] = [Text(), render.notice(f"── {name or view.thread_id} ──")]
        self._show([*head, *self._past.opened(view, self.scroll)])
        self.loading = False
