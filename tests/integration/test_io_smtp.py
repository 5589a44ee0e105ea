"""Sending over a real SMTP conversation: TLS, logins, refusals, silence."""

from __future__ import annotations

import asyncio
import ssl
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from process_agent.errors import MailError
from process_agent.io import smtp as module
from process_agent.io.smtp import SmtpAccount, SmtpSender
from tests.fakes.smtp import smtp_server

MAIL = b"From: bot@mail.test\r\nTo: ana@example.com\r\nSubject: x\r\n\r\nhello\r\n.\r\nafter the dot\r\n"
ME, ANA = "bot@mail.test", "ana@example.com"


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tls")
    subject = ("-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost")
    files = ("-keyout", str(folder / "key.pem"), "-out", str(folder / "cert.pem"))
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", *subject, *files],
        check=True,
        capture_output=True,
    )
    return folder


@pytest.fixture
def server_tls(certificate: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate / "cert.pem", certificate / "key.pem")
    return context


async def test_starttls_and_login(certificate: Path, server_tls: ssl.SSLContext) -> None:
    trusted = ssl.create_default_context(cafile=str(certificate / "cert.pem"))
    async with smtp_server(users={"bot": "secret"}, tls=server_tls) as server:
        account = SmtpAccount("localhost", server.port, "starttls", "bot", "secret", "mail.test")
        assert await SmtpSender(account, tls=trusted).send(ME, [ANA], MAIL) == {}
        received = await server.mail(0)
        assert (received.sender, received.recipients) == (ME, (ANA,))
        assert (received.login, received.tls, received.data) == ("bot", True, MAIL)
        wrong = replace(account, password="wrong")
        with pytest.raises(MailError, match="535") as caught:
            await SmtpSender(wrong, tls=trusted).send(ME, [ANA], MAIL)
        assert not caught.value.temporary
        assert "wrong" not in str(caught.value)


async def test_a_certificate_nobody_vouches_for(server_tls: ssl.SSLContext) -> None:
    async with smtp_server(users={"bot": "secret"}, tls=server_tls) as server:
        account = SmtpAccount("localhost", server.port, "starttls", "bot", "secret")
        with pytest.raises(MailError, match="cannot be trusted") as caught:
            await SmtpSender(account).send(ME, [ANA], MAIL)
        assert not caught.value.temporary
        assert server.mails == []


async def test_a_server_without_starttls_gets_nothing() -> None:
    async with smtp_server() as server:
        account = SmtpAccount("localhost", server.port, "starttls", "bot", "secret")
        with pytest.raises(MailError, match="cannot take the mail"):
            await SmtpSender(account).send(ME, [ANA], MAIL)
        assert server.mails == []


async def test_refusals(unused_tcp_port: int) -> None:
    async with smtp_server() as server:
        sender = SmtpSender(SmtpAccount("127.0.0.1", server.port, "none"))
        server.refused = {"jo@example.com": "550 unknown", "li@example.com": "450 later"}
        refused = await sender.send(ME, [ANA, "jo@example.com"], MAIL)
        assert list(refused) == ["jo@example.com"]
        for recipient, temporary in (("jo@example.com", False), ("li@example.com", True)):
            with pytest.raises(MailError, match="every recipient") as caught:
                await sender.send(ME, [recipient], MAIL)
            assert caught.value.temporary == temporary
        server.answers = ["554 no\x1b[31m", "452 full"]
        for temporary in (False, True):
            with pytest.raises(MailError, match="refused the mail") as caught:
                await sender.send(ME, [ANA], MAIL)
            assert caught.value.temporary == temporary
            assert str(caught.value).isprintable()
    with pytest.raises(MailError, match="cannot be reached") as caught:
        await SmtpSender(SmtpAccount("127.0.0.1", unused_tcp_port, "none")).send(ME, [ANA], MAIL)
    assert caught.value.temporary


async def test_an_address_cannot_carry_a_command() -> None:
    async with smtp_server() as server:
        sender = SmtpSender(SmtpAccount("127.0.0.1", server.port, "none"))
        with pytest.raises(MailError):
            await sender.send(ME, ["ana@example.com>\r\nRCPT TO:<eve@evil.test"], MAIL)
        assert server.mails == []


@pytest.mark.parametrize("limit", ["COMMAND_SECONDS", "SEND_SECONDS"])
async def test_a_server_that_says_nothing(limit: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    monkeypatch.setattr(module, limit, 0.05)
    server = await asyncio.start_server(listen, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    with pytest.raises(MailError, match="took too long") as caught:
        await SmtpSender(SmtpAccount("127.0.0.1", port, "none")).send(ME, [ANA], MAIL)
    assert caught.value.temporary
    server.close()
    await server.wait_closed()  # until its connections are gone: none is left open
