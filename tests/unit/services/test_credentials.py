"""What no document and no log of a service shows."""

from __future__ import annotations

import pytest

from process_agent.errors import UsageError
from process_agent.services.credentials import HIDDEN, hide_credentials, is_secret_name, refuse_credentials

KEYS = {
    "OpenAI": "sk-proj-0123456789abcdefghij",
    "MeshAgent": "ma-AAAAAAAAAAAAAAAA-BBBBBBBBBBBBBBBB-CCCCCCCCCCCCCCCCCC",
    "token": "eyJhbGciOiJIUzI1NiJ9.eyJuYW1lIjoiYm90In0.c2lnbmF0dXJlLXRoYXQtaXMtbG9uZw",
    "GitHub": "ghp_" + "a1" * 20,
    "AWS": "AKIA" + "ABCDEFGH12345678",
}


@pytest.mark.parametrize("key", KEYS.values(), ids=KEYS.keys())
def test_what_has_the_form_of_a_key(key: str) -> None:
    assert key not in hide_credentials(f"Bearer {key}, and '{key}'.", ())
    assert hide_credentials(f"x {key} y", ()) == f"x {HIDDEN} y"
    with pytest.raises(UsageError, match=r"container\.command") as refused:
        refuse_credentials({"container": {"command": f"process join --rule {key}"}}, ())
    assert key not in str(refused.value)


def test_private_keys_in_files_do_not_travel() -> None:
    block = "-----BEGIN OPENSSH PRIVATE KEY-----\nabc\n"
    with pytest.raises(UsageError, match=r"files\[0\]\.text"):
        refuse_credentials({"files": [{"text": block}]}, ())


def test_words_about_keys_stay() -> None:
    text = "Ask for an sk- key, a ma-jority, AKIA and eyJ; see https://example.com/x#code and task-force-one"
    assert hide_credentials(text, ("short",)) == text
    refuse_credentials({"text": text}, ("none", None))


def test_values_of_the_environment_by_the_names_of_their_variables() -> None:
    names = ("OPENAI_API_KEY", "X_TOKEN", "PASSWORD", "PATH", "KEYBOARD")
    assert [name for name in names if is_secret_name(name)] == ["OPENAI_API_KEY", "X_TOKEN", "PASSWORD"]
    assert hide_credentials("it is hunter2-hunter2 hunter2", ("hunter2", "hunter2-hunter2")) == (
        f"it is {HIDDEN} hunter2"
    ), "the longest first, and nothing that is too short"
    assert hide_credentials("open http://x/#code=abc_-9 now", ()) == f"open http://x/#code={HIDDEN} now"
