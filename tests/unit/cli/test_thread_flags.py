"""What is covered, from flags and the environment."""

from __future__ import annotations

from pathlib import Path

import pytest

from process_agent.cli.thread_flags import thread_flags
from process_agent.config import secret_values
from process_agent.errors import UsageError


def test_values_of_key_variables_are_secret_and_paths_are_not(tmp_path: Path) -> None:
    names = {
        "OPENAI_API_KEY": "one", "MESHAGENT_TOKEN": "two", "my_secret": "three", "SMTP_PASSWORD": "four",
        "GOOGLE_APPLICATION_CREDENTIALS": str(tmp_path), "KEYBOARD": "us", "PATH": "/bin", "EMPTY_KEY": "",
    }  # fmt: skip
    assert secret_values(names) == {"one", "two", "three", "four"}


def test_own_credentials_are_covered_unless_somebody_says_not() -> None:
    known = ["a-long-secret-value", None, ""]
    assert thread_flags(None).redaction(known).text("x a-long-secret-value") == "x [redacted]*********"
    assert not thread_flags(["none"]).redaction(known)
    rules = thread_flags(["keys", "PIN [0-9]+"]).redaction(known)
    assert rules.keys
    assert rules.text("PIN 1234") == "[redacte"


@pytest.mark.parametrize("said", [["none", "keys"], ["("], ["x*"]])
def test_what_cannot_be(said: list[str]) -> None:
    with pytest.raises(UsageError):
        thread_flags(said)
