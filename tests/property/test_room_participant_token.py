"""Participant tokens: what we sign we read, and what the published library signs too."""

from __future__ import annotations

import datetime
from typing import Any

import jwt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from meshagent.api.participant_token import ApiScope
from meshagent.api.participant_token import ParticipantToken as PublishedToken

from process_agent.errors import AuthError
from process_agent.wire import participant_token
from process_agent.wire.participant_token import ROLES, ParticipantToken

KEY = "k" * 64
NOW = 1_800_000_000.0

names = st.text(st.characters(codec="utf-8"), min_size=1).filter(lambda text: text.strip() != "")
tokens = st.builds(
    ParticipantToken,
    name=names,
    room=st.none() | names,
    role=st.sampled_from(ROLES),
    api=st.none() | st.dictionaries(st.sampled_from(["messaging", "storage", "llm"]), st.just({})),
    expires=st.none() | st.integers(int(NOW) + 1, int(NOW) + 10**9),
    extra=st.just({"sub": "project", "version": "1"}) | st.just({}),
    agents=st.lists(names, max_size=3).map(tuple),
)


@given(tokens)
def test_what_was_signed_is_read(token: ParticipantToken) -> None:
    assert participant_token.decode(participant_token.encode(token, KEY), KEY, NOW) == token


@given(tokens)
def test_the_published_library_reads_ours(token: ParticipantToken) -> None:
    published = PublishedToken.from_jwt(participant_token.encode(token, KEY), token=KEY, validate=False)
    assert (published.name, published.role) == (token.name, token.role)
    assert published.grant_scope("room") == token.room
    assert tuple(grant.scope for grant in published.grants if grant.name == "agent") == token.agents
    api = published.get_api_grant()
    assert (api is None) == (token.api is None)
    if api is not None and token.api is not None:
        assert (api.messaging is not None) == ("messaging" in token.api)


@given(tokens, st.integers(0, 1000), st.characters(codec="ascii"))
def test_a_changed_token_is_refused(token: ParticipantToken, at: int, letter: str) -> None:
    text = participant_token.encode(token, KEY)
    body, _, signature = text.rpartition(".")
    at %= len(body)
    changed = f"{body[:at]}{letter}{body[at + 1 :]}.{signature}"
    if changed != text:
        with pytest.raises(AuthError):
            participant_token.decode(changed, KEY, NOW)


def test_the_published_librarys_tokens_are_read() -> None:
    published = PublishedToken(name="bot", project_id="p")
    published.add_role_grant("agent")
    published.add_room_grant("demo")
    published.add_agent_grant("other-bot")
    published.add_api_grant(ApiScope.agent_default())
    until = datetime.datetime.fromtimestamp(NOW + 10, datetime.UTC)
    token = participant_token.decode(published.to_jwt(token=KEY, expiration=until), KEY, NOW)
    assert (token.name, token.role, token.room, token.expires) == ("bot", "agent", "demo", NOW + 10)
    assert token.api == participant_token.default_api("agent")
    assert token.agents == ("other-bot",)


def test_default_scopes_are_the_published_ones() -> None:
    for role, scope in (
        ("user", ApiScope.user_default()),
        ("agent", ApiScope.agent_default()),
        ("tool", ApiScope.agent_default()),
    ):
        assert participant_token.default_api(role) == scope.model_dump(
            exclude_none=True, exclude_defaults=True
        )
    full = ApiScope.full().model_dump(exclude_none=True, exclude_defaults=True)
    assert participant_token.admin_api() == full


@pytest.mark.parametrize("ours", ["dataset", "database", "datasets"])
def test_the_dataset_scope_has_three_names(ours: str) -> None:
    text = _signed(api={ours: {"tables": []}})
    assert participant_token.decode(text, KEY, NOW).api == {"dataset": {"tables": []}}


def test_expired_and_early_tokens_are_refused() -> None:
    odd = ({"exp": float("nan")}, {"exp": float("inf")}, {"nbf": float("nan")})
    for claims in ({"exp": NOW}, {"exp": NOW - 1}, {"nbf": NOW + 1}, {"exp": "soon"}, {"exp": True}, *odd):
        with pytest.raises(AuthError):
            participant_token.decode(_signed(**claims), KEY, NOW)
    participant_token.decode(_signed(exp=NOW + 1, nbf=NOW), KEY, NOW)
    participant_token.decode(_signed(exp=10**400), KEY, NOW)


@pytest.mark.parametrize(
    "claims",
    [
        {"name": None},
        {"name": "  "},
        {"name": 5},
        {"grants": None},
        {"grants": {}},
        {"grants": [{"name": "room"}]},
        {"grants": ["room"]},
        {"grants": [{"name": "role", "scope": "king"}]},
        {"grants": [{"name": "room", "scope": {}}]},
        {"grants": [{"name": "api", "scope": []}]},
        {"grants": [{"name": "api", "scope": {"messaging": True}}]},
        {"aud": "studio"},
    ],
)
def test_malformed_claims_are_refused(claims: dict[str, Any]) -> None:
    payload = {"name": "a", "grants": [], **claims}
    with pytest.raises(AuthError):
        participant_token.decode(jwt.encode(payload, KEY, algorithm="HS256"), KEY, NOW)


def test_other_algorithms_and_keys_are_refused() -> None:
    payload = {"name": "a", "grants": []}
    for text in (
        jwt.encode(payload, "", algorithm="none"),
        jwt.encode(payload, KEY, algorithm="HS512"),
        jwt.encode(payload, "x" * 64, algorithm="HS256"),
        "",
        "a.b.c",
    ):
        with pytest.raises(AuthError):
            participant_token.decode(text, KEY, NOW)


@pytest.mark.parametrize(
    ("name", "good"),
    [("a", True), ("demo-1", True), ("x" * 63, True), ("", False), ("-a", False), ("a-", False),
     ("A", False), ("a_b", False), ("a/b", False), ("..", False), ("x" * 64, False), ("a\n", False)],
)  # fmt: skip
def test_room_names(name: str, good: bool) -> None:
    assert participant_token.is_room_name(name) is good


def _signed(api: dict[str, Any] | None = None, **claims: Any) -> str:
    grants = [] if api is None else [{"name": "api", "scope": api}]
    return jwt.encode({"name": "a", "grants": grants, **claims}, KEY, algorithm="HS256")
