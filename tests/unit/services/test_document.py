"""The service document, by itself."""

from __future__ import annotations

import json
import shlex
from dataclasses import replace
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]
from hypothesis import example, given
from hypothesis import strategies as st

from process_agent.core.discovery import ChatProfile, only_thread
from process_agent.errors import UsageError
from process_agent.services.credentials import refuse_credentials
from process_agent.services.document import (
    AGENT_API,
    SecretVariable,
    Service,
    ShippedFile,
    secret_variable,
    service_document,
)
from process_agent.services.written import as_json, as_yaml

FOLDER = "dataset://agents/bot/threads"
CHAT = ChatProfile("bot", FOLDER)
SERVICE = Service("service", "bot", "example.com/process:1", ("--agent-name", "bot"), CHAT)


def document(service: Service = SERVICE) -> Any:
    return service_document(service)


def test_the_whole_document() -> None:
    assert document(replace(SERVICE, description="Answers.")) == {
        "version": "v1",
        "kind": "Service",
        "enabled": True,
        "metadata": {
            "name": "service",
            "description": "Answers.",
            "annotations": {"meshagent.service.id": "service"},
        },
        "agents": [
            {
                "name": "bot",
                "annotations": {
                    "meshagent.agent.type": "ChatBot",
                    "meshagent.chatbot.threading": "default-new",
                    "meshagent.chatbot.thread-dir": FOLDER,
                    "meshagent.chatbot.thread-list": f"{FOLDER}/index",
                },
            }
        ],
        "ports": [],
        "container": {
            "image": "example.com/process:1",
            "template": "agent",
            "command": "process join --agent-name bot",
            "environment": [
                {
                    "name": "MESHAGENT_TOKEN",
                    "token": {"identity": "bot", "role": "agent", "api": AGENT_API},
                }
            ],
            "private": True,
        },
    }


def test_an_agent_with_one_thread() -> None:
    chat = replace(CHAT, thread_path=only_thread(FOLDER))
    annotations = document(replace(SERVICE, chat=chat))["agents"][0]["annotations"]
    assert annotations["meshagent.chatbot.thread-path"] == f"{FOLDER}/main"
    assert "meshagent.chatbot.threading" not in annotations


def test_annotations_and_attributes_share_every_key_about_threads() -> None:
    for chat in (CHAT, replace(CHAT, thread_path=only_thread(FOLDER))):
        about_threads = {k: v for k, v in chat.attributes().items() if k.startswith("meshagent.")}
        assert chat.annotations() == {"meshagent.agent.type": "ChatBot", **about_threads}


def test_without_chat_there_are_no_annotations() -> None:
    assert document(replace(SERVICE, chat=None))["agents"] == [{"name": "bot"}]


def test_files_secrets_and_who_may_read_them() -> None:
    found = document(
        replace(
            SERVICE,
            files=(ShippedFile("/etc/process/rules-1.txt", "Be brief.\n"),),
            secrets=(SecretVariable("SMTP_PASSWORD", "sec_1"),),
            run_as="bot@project.example.com",
        )
    )["container"]
    assert found["environment"][0] == {"name": "SMTP_PASSWORD", "secret": {"id": "sec_1"}}
    assert found["run_as"] == {"email": "bot@project.example.com"}
    [file] = found["storage"]["files"]
    assert file == {"path": "/etc/process/rules-1.txt", "text": "Be brief.\n", "read_only": True}


def test_two_documents_share_nothing() -> None:
    document()["container"]["environment"][0]["token"]["api"]["queues"]["list"] = False
    assert document()["container"]["environment"][0]["token"]["api"]["queues"] == {"list": True}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"name": " "}, "service's name"),
        ({"name": "x" * 101}, "service's name"),
        ({"name": "a\nb"}, "service's name"),
        ({"image": ""}, "not the name of an image"),
        ({"image": "a b"}, "not the name of an image"),
        ({"image": "-x"}, "not the name of an image"),
        ({"secrets": (SecretVariable("A", "s"),)}, "need each other"),
        ({"run_as": "bot@example.com"}, "need each other"),
        ({"secrets": (SecretVariable("A", "s"),), "run_as": " "}, "--run-as is empty"),
        ({"secrets": (SecretVariable("A", "s"), SecretVariable("A", "t")), "run_as": "b@c"}, "one variable"),
    ],
)
def test_what_cannot_be_described(change: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        document(replace(SERVICE, **change))


def test_secrets_are_named_by_variable_and_id() -> None:
    assert secret_variable("SMTP_PASSWORD=sec_1") == SecretVariable("SMTP_PASSWORD", "sec_1")


@pytest.mark.parametrize(
    "text", ["SMTP_PASSWORD", "=sec_1", "A=", "1A=s", "A=pass word!", "MESHAGENT_TOKEN=s"]
)
def test_secrets_that_are_none(text: str) -> None:
    with pytest.raises(UsageError) as refused:
        secret_variable(text)
    assert "pass word!" not in str(refused.value)


@pytest.mark.parametrize(
    "text",
    [
        "my-own-key",  # from the environment
        "sk-proj-0123456789abcdefghij",
        "ma-kid.kid-project.project-secretsecret",
        "eyJhbGciOiJIUzI1NiJ9.eyJuYW1lIjoiYm90In0.c2lnbmF0dXJl",
    ],
)
@pytest.mark.parametrize("where", ["flag", "file", "description", "secret"])
def test_no_credential_gets_in(text: str, where: str) -> None:
    changes: dict[str, Any] = {
        "flag": {"flags": ("--rule", f"Use {text}.")},
        "file": {"files": (ShippedFile("/etc/process/rules-1.txt", f"Use {text}\n"),)},
        "description": {"description": text},
        "secret": {"secrets": (SecretVariable("OPENAI_API_KEY", text),), "run_as": "b@c"},
    }
    found = document(replace(SERVICE, **changes[where]))
    with pytest.raises(UsageError, match="a key or a token") as refused:
        refuse_credentials(found, (None, "my-own-key"))
    assert text not in str(refused.value)


def test_what_is_no_credential_is_let_through() -> None:
    service = replace(SERVICE, flags=("--rule", "Ask for a risk-assessment-of-everything; none is none."))
    refuse_credentials(document(service), (None, "none"))


texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=400)


@given(st.lists(texts, max_size=4), texts)
@example(["\u2029"], "a\x85b\u2028")
def test_every_text_survives_being_written(flags: list[str], text: str) -> None:
    service = replace(
        SERVICE, flags=flags, description=text, files=(ShippedFile("/etc/process/rules-1.txt", text),)
    )
    whole = document(service)
    assert yaml.safe_load(as_yaml(whole)) == whole
    assert yaml.safe_load(as_yaml(whole).encode()) == whole
    assert json.loads(as_json(whole)) == whole
    assert as_json(whole).count("\n") == 1
    assert shlex.split(whole["container"]["command"]) == ["process", "join", *flags]


@pytest.mark.parametrize(
    "text", ["yes", "on", "null", "1.0", "12:30", "0x1f", "2026-01-01", "- a", "#", "|", ""]
)
def test_texts_that_look_like_other_values(text: str) -> None:
    whole = document(replace(SERVICE, name=text or "x", agent_name=text, description=text))
    assert yaml.safe_load(as_yaml(whole)) == whole


def test_bytes_that_are_no_text_are_refused() -> None:
    whole = document(replace(SERVICE, flags=("--rule", "\udcff")))
    for write in (as_yaml, as_json):
        with pytest.raises(UsageError, match="no UTF-8"):
            write(whole)
