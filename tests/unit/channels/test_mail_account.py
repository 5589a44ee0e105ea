"""Which SMTP server, and how."""

from __future__ import annotations

import pytest

from process_agent.channels.mail.account import HostedRoom, smtp_account
from process_agent.config import SmtpSettings, load
from process_agent.errors import UsageError
from process_agent.io.smtp import SmtpAccount

BOX = "bot@mail.test"
HOSTED = HostedRoom("bot", "the token")


def test_the_environment_is_read() -> None:
    smtp = load(
        {
            "SMTP_HOSTNAME": "smtp.test",
            "SMTP_PORT": "2525",
            "SMTP_USERNAME": "u",
            "SMTP_PASSWORD": "p",
            "SMTP_LOCAL_HOSTNAME": "me.test",
            "SMTP_STARTTLS": "true",
            "MESHAGENT_MAIL_DOMAIN": "mail.example",
        }
    ).smtp
    assert smtp == SmtpSettings("smtp.test", 2525, "u", "p", "me.test", True, "mail.example")
    assert smtp_account(smtp, BOX, None) == SmtpAccount("smtp.test", 2525, "starttls", "u", "p", "me.test")
    assert load({}).smtp == SmtpSettings()
    assert "'p'" not in repr(smtp)
    assert "'p'" not in repr(smtp_account(smtp, BOX, None))


@pytest.mark.parametrize(
    "variables", [{"SMTP_PORT": "0"}, {"SMTP_PORT": "x"}, {"SMTP_PORT": "99999"}, {"SMTP_STARTTLS": "maybe"}]
)
def test_variables_that_say_nothing(variables: dict[str, str]) -> None:
    with pytest.raises(UsageError, match=next(iter(variables))):
        load(variables)


def test_a_hosted_room_has_a_server_of_its_own() -> None:
    found = smtp_account(SmtpSettings(), BOX, HOSTED)
    assert found == SmtpAccount("mail.meshagent.com", 587, "starttls", "bot", "the token", "mail.test")
    named = smtp_account(SmtpSettings(mail_domain="mail.example"), BOX, HOSTED)
    assert (named.host, named.password) == ("mail.example", "the token")
    given = SmtpSettings("mail.meshagent.com", username="container", password="given")
    assert smtp_account(given, BOX, HOSTED).username == "container"


def test_the_token_goes_to_no_other_server() -> None:
    found = smtp_account(SmtpSettings("smtp.elsewhere.test"), BOX, HOSTED)
    assert (found.username, found.password) == (None, None)
    with pytest.raises(UsageError, match="SMTP_PASSWORD"):
        smtp_account(SmtpSettings("smtp.elsewhere.test", username="u"), BOX, HOSTED)


def test_what_is_missing_is_named() -> None:
    with pytest.raises(UsageError, match="SMTP_HOSTNAME"):
        smtp_account(SmtpSettings(), BOX, None)
    with pytest.raises(UsageError, match="SMTP_USERNAME"):
        smtp_account(SmtpSettings("smtp.test", password="p"), BOX, None)
    with pytest.raises(UsageError, match="ASCII"):
        smtp_account(SmtpSettings("smtp.test"), "bö@mail.test", None)


@pytest.mark.parametrize(
    ("smtp", "security"),
    [
        (SmtpSettings("smtp.test"), "starttls"),
        (SmtpSettings("smtp.test", 25), "starttls"),
        (SmtpSettings("smtp.test", 465), "tls"),
        (SmtpSettings("localhost", 1025), "none"),
        (SmtpSettings("127.0.0.1", 25, "u", "p"), "none"),
        (SmtpSettings("::1", 25, starttls=True), "starttls"),
        (SmtpSettings("relay.test", 25, starttls=False), "none"),
    ],
)
def test_security(smtp: SmtpSettings, security: str) -> None:
    assert smtp_account(smtp, BOX, None).security == security


def test_no_password_in_the_clear() -> None:
    with pytest.raises(UsageError, match="SMTP_STARTTLS"):
        smtp_account(SmtpSettings("smtp.test", 587, "u", "p", starttls=False), BOX, None)
