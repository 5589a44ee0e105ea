"""The input line for a secret: nothing of it is shown, kept in the history, or given back."""

from __future__ import annotations

from collections.abc import Callable

from prompt_toolkit.buffer import Buffer
from prompt_toolkit.layout import Window
from prompt_toolkit.layout.controls import BufferControl
from prompt_toolkit.layout.processors import BeforeInput, PasswordProcessor


class SecretField:
    """Takes the place of the ordinary line when somebody is asked for a secret.

    Not in the middle of a line that is being typed, or its rest would be given away. And it stays until what
    was typed into it is finished with Enter, also when nobody wants it any more, or the rest of a secret
    would be typed into the ordinary line.
    """

    def __init__(self, *, asked: Callable[[], bool], typing: Callable[[], bool]) -> None:
        self._asked = asked
        self._typing = typing
        self._shown = False
        self._buffer = Buffer(multiline=False)
        self.window = Window(
            BufferControl(
                self._buffer, input_processors=[PasswordProcessor(), BeforeInput("⚿ ", style="class:prompt")]
            ),
            height=1,
        )

    @property
    def active(self) -> bool:
        """Whether what is typed is a secret."""
        if self._buffer.text:
            return True
        self._shown = self._asked() and (self._shown or not self._typing())
        return self._shown

    def take(self) -> str:
        """What was typed; the field is empty afterwards."""
        value = self._buffer.text
        self._buffer.reset()
        return value
