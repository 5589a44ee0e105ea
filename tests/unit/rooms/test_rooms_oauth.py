"""Signing in to MeshAgent: the pure parts."""

from __future__ import annotations

import base64
import hashlib
from urllib.parse import parse_qs, urlsplit

import pytest

from process_agent import config
from process_agent.cli.login_meshagent import pick
from process_agent.errors import AuthError, UsageError
from process_agent.rooms.accounts import Project
from process_agent.rooms.oauth import OAuthClient, SignInAttempt, attempt, client_of, refresh_form, session_of

CLIENT = OAuthClient("https://api.example", "client-1", "hush")
RANDOM = bytes(range(64))


@pytest.fixture
def begun() -> SignInAttempt:
    return attempt(CLIENT, RANDOM)


def test_the_page_has_a_challenge_and_no_verifier(begun: SignInAttempt) -> None:
    asked = {name: values[0] for name, values in parse_qs(urlsplit(begun.url).query).items()}
    digest = hashlib.sha256(begun.verifier.encode()).digest()
    assert asked["code_challenge"] == base64.urlsafe_b64encode(digest).decode().rstrip("=")
    assert asked["code_challenge_method"] == "S256"
    assert asked["redirect_uri"] == "http://localhost:8765/callback"
    assert begun.verifier not in begun.url
    assert "hush" not in begun.url
    assert 43 <= len(begun.verifier) <= 128
    assert begun.verifier not in repr(begun)


def test_only_our_callback_counts(begun: SignInAttempt) -> None:
    assert begun.code(f"/callback?code=abc&state={begun.state}") == "abc"
    for target in (
        "/callback?code=abc",
        "/callback?code=abc&state=other",
        f"/other?code=abc&state={begun.state}",
        f"/callback?state={begun.state}",
        "/callback?error=access_denied",
        f"/callback?code={'x' * 5000}&state={begun.state}",
    ):
        assert begun.code(target) is None
    with pytest.raises(AuthError, match="access_denied"):
        begun.code(f"/callback?error=access_denied&state={begun.state}")


def test_forms(begun: SignInAttempt) -> None:
    form = begun.form("abc")
    assert form["code_verifier"] == begun.verifier
    assert (form["client_id"], form["client_secret"]) == ("client-1", "hush")
    assert refresh_form(CLIENT, "r")["grant_type"] == "refresh_token"
    with pytest.raises(ValueError, match="64"):
        attempt(CLIENT, b"short")


def test_sessions() -> None:
    session = session_of({"access_token": "a", "expires_in": 100}, 1_000.0, "before")
    assert (session.expires, session.refresh_token) == (1_070, "before")
    assert session_of({"access_token": "a", "expires_in": "odd"}, 0.0).expires == 3_570
    assert "'a'" not in repr(session)
    damaged: tuple[object, ...] = (None, [], {}, {"access_token": ""}, {"access_token": 5})
    for answer in damaged:
        with pytest.raises(AuthError):
            session_of(answer, 0.0)


def test_the_client_is_named_by_the_environment() -> None:
    assert client_of(config.load({"HOME": "/h"}), "https://api.example") is None
    named = {"HOME": "/h", "MESHAGENT_OAUTH_CLIENT_ID": "x", "MESHAGENT_OAUTH_SCOPES": "a b"}
    found = client_of(config.load(named), "https://api.example/")
    assert found is not None
    assert (found.api_url, found.scopes) == ("https://api.example", "a b")


def test_which_project() -> None:
    one, two = Project("p1", "First"), Project("p2", "Second")
    assert pick((one,), None, None) == "p1"
    assert pick((one, two), None, None) is None
    assert pick((one, two), None, "p2") == "p2"
    assert pick((one, two), None, "gone") is None
    assert pick((one, two), "Second", "p1") == "p2"
    with pytest.raises(UsageError, match="p3"):
        pick((one, two), "p3", None)
