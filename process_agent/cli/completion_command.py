"""`process completion`: the script that makes a shell complete our commands."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer


class Shell(StrEnum):
    """Shells that there is a script for."""

    BASH = "bash"
    ZSH = "zsh"
    FISH = "fish"


def completion(shell: Annotated[Shell, typer.Argument(help="Your shell.", show_choices=True)]) -> None:
    """Print the script that makes a shell complete commands, flags, values, and what the local room holds.

    \b
    bash   echo 'eval "$(process completion bash)"' >> ~/.bashrc
    zsh    echo 'eval "$(process completion zsh)"' >> ~/.zshrc
    fish   process completion fish > ~/.config/fish/completions/process.fish
    """
    from process_agent.cli.completion.scripts import SCRIPTS

    typer.echo(SCRIPTS[shell.value], nl=False)
