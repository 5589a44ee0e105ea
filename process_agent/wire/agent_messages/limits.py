"""How much one agent message may hold. A message above a limit is refused as a whole, never cut."""

from __future__ import annotations

import json

from process_agent.errors import FrameTooLargeError, WireError
from process_agent.wire.agent_messages.parts import Body

MAX_MESSAGE = 24_000_000
"""Characters of a whole message as JSON: a few photographs as `data:` URLs."""

MAX_ID = 1_000
"""Characters of an id, or of the path of a thread."""

MAX_NAME = 500
"""Characters of the name of a thread or of a client's tool."""

MAX_PARTS = 500
"""Content parts of one message."""

MAX_INSTRUCTIONS = 200_000
"""Characters."""

MAX_SCHEMA = 100_000
"""Characters of an output schema, as JSON."""

MAX_EFFORT = 40
"""Characters of a reasoning effort."""

MAX_CLIENT_TOOLS = 128
"""Tools that one client offers with a turn."""

MAX_SECRET = 100_000
"""Characters of each part of a secret."""

MAX_INJECTED = 200
"""Messages in one `messages.inject`."""


def check(body: Body) -> None:
    """Refuse a message that is too large, or that could not be stored or passed on as it is: numbers that
    are none, halves of characters, nesting without end. Raises `WireError`.
    """
    try:
        text = json.dumps(body, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        if len(text) > MAX_MESSAGE:
            raise FrameTooLargeError(f"the message has more than {MAX_MESSAGE} characters")
        text.encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise WireError("the message holds something that is not JSON in UTF-8") from error
