"""Texts of the scripted model, as Markdown."""

from __future__ import annotations

import re

from process_agent.scripted.tools import CommandReply

QUOTE_LIMIT = 4_000
"""Characters of a command's output that an answer quotes."""

ABILITIES = """\
- **run** `ls -la` – a real command in the sandbox
- **create** `hello.py` **and run it** – a real file, shown as a diff
- **replace** `Hello` **with** `Good morning` **in** `hello.py`
- **fix the demo** – thoughts, a plan, commands, a diff and an answer
- **make a plan to** tidy this folder
- **run** `id` **outside the sandbox** – asks for your approval
- **count to** 20, **wait** 5 **seconds** – then press stop, or steer it
- **say** anything – word for word
"""

WELCOME = f"""\
Hello! I am the **scripted model**: I follow a script and need no account. Everything else is real: the agent,
its commands and the files it changes. Try:

{ABILITIES}"""

SHOWCASE = """\
## What Markdown looks like here

The **scripted model** writes *emphasis*, `code`, and [links](https://example.org).

| Kind | Example | Count |
|:-----|:-------:|------:|
| list | one, two | 2 |
| table | this one | 1 |

1. First this
2. then that
   - with a detail

> A quotation of nobody.

```python
def greet(name: str) -> str:
    return f"Hello, {name}!"
```
"""


def fenced(text: str, language: str = "text") -> str:
    """A code block with this text, whatever backticks it holds; long text is cut in its middle."""
    if len(text) > QUOTE_LIMIT:
        half = QUOTE_LIMIT // 2
        text = f"{text[:half]}\n… {len(text) - QUOTE_LIMIT} characters left out …\n{text[-half:]}"
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}{language}\n{text.removesuffix(chr(10))}\n{fence}"


def code(text: str) -> str:
    """Text as inline code."""
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    ticks = "`" * (longest + 1)
    pad = " " if longest else ""
    return f"{ticks}{pad}{text}{pad}{ticks}"


def command_report(command: str, reply: CommandReply) -> str:
    """What an answer says about a command."""
    if reply.declined:
        return f"You did not allow {code(command)}, so it was not run."
    if reply.exit_code is None:
        return f"{code(command)} did not report an end. What came back:\n\n{fenced(reply.output)}"
    end = "" if reply.ok else f", which ended with exit code **{reply.exit_code}**"
    if not reply.output.strip():
        return f"I ran {code(command)}{end}. It printed nothing."
    return f"I ran {code(command)}{end}. It printed:\n\n{fenced(reply.output)}"


def unknown(prompt: str) -> str:
    """The answer to a prompt no rule matches."""
    first = prompt.strip().split("\n", 1)[0][:200]
    quoted = f"> {first}\n\n" if first else ""
    return (
        f"{quoted}I am the **scripted model**, which follows a script and has none for this. "
        f"With a real model the agent would work on it now. Try:\n\n{ABILITIES}"
    )
