"""The interactive terminal: an input line that stays at the bottom while the conversation scrolls above it.

What is final is printed above and belongs to the terminal's own history; below it, and drawn again as it
changes, stand what is under way, the status with its spinner, the input and a line of facts.
"""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from prompt_toolkit.application import Application
from prompt_toolkit.buffer import Buffer
from prompt_toolkit.filters import Condition
from prompt_toolkit.formatted_text import ANSI, AnyFormattedText
from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent
from prompt_toolkit.layout import ConditionalContainer, HSplit, Layout, Window
from prompt_toolkit.layout.controls import BufferControl, FormattedTextControl
from prompt_toolkit.layout.dimension import Dimension
from prompt_toolkit.layout.menus import CompletionsMenu
from prompt_toolkit.layout.processors import BeforeInput
from prompt_toolkit.styles import Style
from rich.console import RenderableType
from rich.text import Text

from process_agent.core.decisions import Decision
from process_agent.errors import ProcessError, UsageError
from process_agent.viewer.approve import Approve
from process_agent.viewer.client import AgentClient
from process_agent.viewer.items import AskedSecret
from process_agent.viewer.terminal import commands, render
from process_agent.viewer.terminal.facts import facts
from process_agent.viewer.terminal.line import SlashCompleter, typed_before
from process_agent.viewer.terminal.plain import duration, one_line
from process_agent.viewer.terminal.secret_field import SecretField
from process_agent.viewer.terminal.session import Session

if TYPE_CHECKING:
    from prompt_toolkit.input import Input
    from prompt_toolkit.output import Output

FRAME_SECONDS = 0.08
"""Pause between two drawings."""

SPINNER = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"
SPINNER_SECONDS = 0.1

INPUT_LINES = 10
"""Most lines of the input that are shown at once."""

_STYLE = Style.from_dict(
    {
        "prompt": "ansicyan bold",
        "status": "ansiyellow",
        "facts": "ansibrightblack",
        "completion-menu": "noinherit",
        "completion-menu.completion": "noinherit",
        "completion-menu.completion.current": "reverse",
        "completion-menu.meta.completion": "noinherit ansibrightblack",
        "completion-menu.meta.completion.current": "reverse",
    }
)


class Repl:
    """The terminal of one session. `run` returns when the person leaves.

    `closed` waits for the end of the room membership and returns why. `input` and `output` are the
    terminal's own when None.
    """

    def __init__(
        self,
        client: AgentClient,
        *,
        me: str | None,
        room: str,
        approve: Approve = Approve.ASK,
        history: Path | None = None,
        terminal: tuple[Input, Output] | None = None,
    ) -> None:
        self.left_behind: list[str] = []
        """Paths of attached files that were never sent and could not be removed, at the end."""
        self._room = room
        self._lines: asyncio.Queue[str] = asyncio.Queue(100)
        self._dirty = asyncio.Event()
        self._to_print: list[RenderableType] = []
        self._live = ""
        self._leaving = False
        self._busy_since: float | None = None
        self.session = Session(
            client,
            me=me,
            approve=approve,
            show=self._print,
            changed=self._dirty.set,
            give_back=self._give_back,
        )
        self._buffer = Buffer(
            multiline=True,
            completer=SlashCompleter(self.session),
            complete_while_typing=Condition(lambda: self._buffer.text.startswith("/")),
            history=typed_before(history),
            accept_handler=self._accept,
        )
        self._secret = SecretField(
            asked=lambda: self.session.asked_secret is not None, typing=lambda: bool(self._buffer.text)
        )
        self._field = self._input_window()
        self._app = self._application(terminal)

    async def run(
        self, *, thread: str | None = None, closed: Callable[[], Awaitable[ProcessError | None]] | None = None
    ) -> str | None:
        """Run until the person leaves; returns the path of the thread that was open then.

        Raises the error the room membership ended with.
        """
        last: str | None = None
        self._print([render.notice(self._greeting())])
        async with asyncio.TaskGroup() as group:
            running = [
                group.create_task(self._work(thread)),
                group.create_task(self._paint()),
                group.create_task(self._spin()),
            ]
            if closed is not None:
                running.append(group.create_task(self._leave_when_closed(closed)))
            loop = asyncio.get_running_loop()
            for number in (signal.SIGTERM, signal.SIGHUP):
                loop.add_signal_handler(number, self._leave)  # so that the terminal is given back in order
            try:
                error = await self._app.run_async(handle_sigint=False)
            finally:
                for number in (signal.SIGTERM, signal.SIGHUP):
                    loop.remove_signal_handler(number)
                last = None if self.session.view is None else self.session.view.thread_id
                for task in running:
                    task.cancel()
                self.left_behind = await self.session.close()
        if error is not None:
            raise error
        return last

    # --- Tasks ------------------------------------------------------------------------------------

    async def _work(self, thread: str | None) -> None:
        await self.session.start()
        if thread is not None:
            await self.session.perform(commands.OpenThreadNamed(thread))
        while True:
            line = await self._lines.get()
            try:
                command = commands.parse(line)
            except UsageError as error:
                self._print([render.warning(str(error))])
                continue
            if command is not None and not isinstance(command, commands.Say | commands.ForAgent):
                self._print([Text(), Text(f"› {line.strip()}", "dim")])
            if command is not None and not await self.session.perform(command):
                self._leave()

    async def _paint(self) -> None:
        while True:
            await self._dirty.wait()
            self._dirty.clear()
            self._flush()
            self._mind_focus()
            self._app.invalidate()
            await asyncio.sleep(FRAME_SECONDS)

    def _mind_focus(self) -> None:
        wanted = self._secret.window if self._secret.active else self._field
        if self._app.layout.current_window is not wanted:
            self._app.layout.focus(wanted)

    def _flush(self) -> None:
        size = self._app.output.get_size()
        shown = [*self._to_print, *self.session.take(size.columns)]
        self._to_print.clear()
        live = render.to_ansi(self.session.live(size.columns), size.columns).rstrip("\n")
        if not shown:
            self._live = live
            return
        self._live = live
        self._print_above(render.to_ansi(shown, size.columns))

    def _print_above(self, text: str) -> None:
        """Print and draw again below it.

        prompt_toolkit's own way gives the terminal back for that moment, and a Ctrl-C in it would be a
        signal instead of a key.
        """
        output = self._app.output
        self._app.renderer.erase()
        output.write_raw(text.replace("\n", "\r\n"))
        output.flush()
        self._app.renderer.request_absolute_cursor_position()

    async def _spin(self) -> None:
        while True:
            await asyncio.sleep(SPINNER_SECONDS)
            if self.session.busy is None:
                self._busy_since = None
                continue
            if self._busy_since is None:
                self._busy_since = time.monotonic()
            self._app.invalidate()

    async def _leave_when_closed(self, closed: Callable[[], Awaitable[ProcessError | None]]) -> None:
        error = await closed()
        if self._app.is_running:
            self._app.exit(result=error)

    # --- What happens -----------------------------------------------------------------------------

    def _print(self, shown: Sequence[RenderableType]) -> None:
        # What is shown belongs after what became final before it.
        columns = self._app.output.get_size().columns
        self._to_print.extend(self.session.take(columns))
        self._to_print.extend(shown)
        self._dirty.set()

    def _give_back(self, text: str) -> None:
        if not self._buffer.text:
            self._buffer.text = text
            self._buffer.cursor_position = len(text)

    def _accept(self, buffer: Buffer) -> bool:
        return not self._submit(buffer.text)

    def _submit(self, line: str) -> bool:
        try:
            self._lines.put_nowait(line)
        except asyncio.QueueFull:
            self._print([render.warning("Too many lines wait; try again in a moment.")])
            return False
        return True

    def _leave(self) -> None:
        if self._app.is_running:
            self._app.exit(result=None)

    def _interrupt(self) -> None:
        """Ctrl-C: stop the turn, else empty the line; leave on the second press in a row."""
        if self._leaving:
            self._leave()
        elif self._secret.take():
            self._mind_focus()
        elif self.session.running is not None:
            self._leaving = True
            self._submit("/stop")
        elif self._buffer.text:
            self._buffer.reset()
        else:
            self._leaving = True
        self._app.invalidate()

    # --- Keys and layout --------------------------------------------------------------------------

    def _keys(self) -> KeyBindings:
        keys = KeyBindings()
        secret = Condition(lambda: self._app.layout.current_window is self._secret.window)
        asked = Condition(lambda: not self._buffer.text) & ~secret
        any_key = Condition(lambda: self._leaving)

        @keys.add("c-c", eager=True)
        def _(event: KeyPressEvent) -> None:
            self._interrupt()

        @keys.add("c-d", filter=Condition(lambda: not self._buffer.text) & ~secret)
        def _(event: KeyPressEvent) -> None:
            self._leave()

        @keys.add("enter")
        @keys.add("c-j")  # what Enter is when it was pressed before the terminal was ours
        def _(event: KeyPressEvent) -> None:
            self._leaving = False
            if secret():
                asked, value = self.session.claim_secret(), self._secret.take()
                self._mind_focus()  # now, so that the next key is not taken for a part of it
                event.app.create_background_task(self._give_secret(asked, value))
            elif self._buffer.text.strip():
                self._buffer.validate_and_handle()

        @keys.add("escape", "enter", filter=~secret)
        @keys.add("escape", "c-j", filter=~secret)
        def _(event: KeyPressEvent) -> None:
            self._buffer.insert_text("\n")

        for key, (decision, _words, _style) in render.KEYS.items():
            offered = Condition(partial(self.session.offers, decision))

            @keys.add(key, filter=asked & offered, eager=True)
            def _(event: KeyPressEvent, decision: Decision = decision) -> None:
                event.app.create_background_task(self._decide(decision))

        @keys.add("<any>", filter=any_key)
        def _(event: KeyPressEvent) -> None:
            self._leaving = False
            event.current_buffer.insert_text(event.data)

        return keys

    async def _give_secret(self, asked: AskedSecret | None, value: str) -> None:
        try:
            if asked is not None:
                await self.session.answer_secret(asked, value)
            elif value:
                self._print([render.notice("Nobody asks for it any more; it was not sent.")])
        except ProcessError as error:
            self._print([render.warning(str(error))])
        self._dirty.set()

    async def _decide(self, decision: Decision) -> None:
        try:
            await self.session.decide(decision)
        except ProcessError as error:
            self._print([render.warning(str(error))])
        self._dirty.set()

    def _input_window(self) -> Window:
        return Window(
            BufferControl(self._buffer, input_processors=[BeforeInput("› ", style="class:prompt")]),
            height=Dimension(min=1, max=INPUT_LINES),
            wrap_lines=True,
            dont_extend_height=True,
        )

    def _application(self, terminal: tuple[Input, Output] | None) -> Application[ProcessError | None]:
        secret = Condition(lambda: self._app.layout.current_window is self._secret.window)
        shown = Condition(lambda: bool(self._live))
        busy = Condition(lambda: self.session.busy is not None)
        parts = [
            ConditionalContainer(
                Window(FormattedTextControl(self._live_text), height=self._live_height), shown
            ),
            ConditionalContainer(
                Window(FormattedTextControl(self._status), height=1, style="class:status"), busy
            ),
            Window(height=1),
            ConditionalContainer(self._field, ~secret),
            ConditionalContainer(self._secret.window, secret),
            CompletionsMenu(max_height=8, scroll_offset=1),
            Window(FormattedTextControl(self._facts), height=1, style="class:facts"),
        ]
        return Application(
            layout=Layout(HSplit(parts), focused_element=self._field),
            key_bindings=self._keys(),
            style=_STYLE,
            erase_when_done=True,
            input=terminal[0] if terminal else None,
            output=terminal[1] if terminal else None,
        )

    def _live_text(self) -> AnyFormattedText:
        lines = self._live.split("\n")
        return ANSI("\n".join(lines[-self._live_height() :]))

    def _live_height(self) -> int:
        """Lines of the live part: its end, when it does not fit."""
        room = max(self._app.output.get_size().rows - 7, 3)
        return min(self._live.count("\n") + 1, room)

    def _status(self) -> AnyFormattedText:
        since = self._busy_since if self._busy_since is not None else time.monotonic()
        elapsed = time.monotonic() - since
        sign = SPINNER[int(elapsed / SPINNER_SECONDS) % len(SPINNER)]
        hint = ""
        if self.session.running is not None and self.session.offline is None:
            hint = " · Ctrl-C stops"
        text = one_line(self.session.busy or "", max(self._app.output.get_size().columns - 32, 10))
        return f"{sign} {text} · {duration(elapsed)}{hint}"

    def _facts(self) -> AnyFormattedText:
        if self._leaving:
            return "Ctrl-C again leaves; the agent goes on."
        columns = self._app.output.get_size().columns
        return one_line(" · ".join(facts(self.session)), columns)

    def _greeting(self) -> str:
        return f"{self.session.client.agent_name} in {self._room} · say something, or /help"
