"""Servers that the operator names, and addresses that strangers name."""

from __future__ import annotations

import tomllib

import pytest

from process_agent.core.addresses import is_public
from process_agent.core.mcp_config import joined, parse_server, parse_servers, unknown_members
from process_agent.errors import UsageError

ENVIRONMENT = {"PATH": "/bin", "HOME": "/home/ana", "DOCS_KEY": "s3cret", "OTHER": "never"}

FILE = """
[mcp_servers.docs]
url = "https://docs.example/mcp"
bearer_token_env_var = "DOCS_KEY"
http_headers = { X-Team = "blue" }
tool_timeout_sec = 5
enabled_tools = ["search", "read"]
disabled_tools = ["read"]
default_tools_approval_mode = "approve"
tools = { search = { approval_mode = "prompt" } }

[mcp_servers.files]
command = "npx"
args = ["-y", "server"]
env = { MODE = "ro" }
env_vars = ["DOCS_KEY"]
cwd = "/srv"

[mcp_servers.off]
command = "x"
enabled = false
"""


def test_the_file_is_codexs_own() -> None:
    docs, files = parse_servers(tomllib.loads(FILE), "f", ENVIRONMENT.get)
    assert docs.headers == {"X-Team": "blue", "Authorization": "Bearer s3cret"}
    assert (docs.call_seconds, docs.asking, docs.asking_of) == (5.0, "approve", {"search": "prompt"})
    assert [docs.offers(name) for name in ("search", "read", "write")] == [True, False, False]
    assert files.command == ("npx", "-y", "server")
    assert files.environment == {"PATH": "/bin", "HOME": "/home/ana", "DOCS_KEY": "s3cret", "MODE": "ro"}
    assert "s3cret" not in f"{docs} {files}"


@pytest.mark.parametrize(
    ("entry", "why"),
    [
        ('command = "x"\nurl = "https://x.example"', "either a command or a url"),
        ('url = "ftp://x.example"', "no web address"),
        ('url = "https://x.example"\nbearer_token = "t"', "bearer_token_env_var"),
        ('url = "https://x.example"\nbearer_token_env_var = "NO_SUCH"', "NO_SUCH is not set"),
        ('command = "x"\nargs = "y"', "`args` has the wrong type"),
        ('command = "x"\ntool_timeout_sec = true', "wrong type"),
        ('command = "x"\ndefault_tools_approval_mode = "never"', "cannot ask 'never'"),
    ],
)
def test_what_is_wrong_with_a_server_is_said(entry: str, why: str) -> None:
    with pytest.raises(UsageError, match=why):
        parse_servers(tomllib.loads(f"[mcp_servers.x]\n{entry}"), "f", ENVIRONMENT.get)


def test_a_server_on_the_command_line_is_a_program_or_an_address() -> None:
    program = parse_server("files=npx -y 'a server' /data", ENVIRONMENT.get)
    assert program.command == ("npx", "-y", "a server", "/data")
    assert program.environment == {"PATH": "/bin", "HOME": "/home/ana"}
    assert parse_server("docs=https://x.example/a=b", ENVIRONMENT.get).url == "https://x.example/a=b"
    for text in ("https://x.example", "1=x", "files=", "files='x"):
        with pytest.raises(UsageError):
            parse_server(text, ENVIRONMENT.get)
    with pytest.raises(UsageError, match="called files"):
        joined([program, parse_server("Files=y", ENVIRONMENT.get)])
    assert unknown_members({"mcp_servers": {"x": {"command": "y", "speed": 1}}}) == ["x.speed"]


@pytest.mark.parametrize(
    "inside",
    [
        *("127.0.0.1", "10.0.0.1", "172.16.3.4", "192.168.1.1", "169.254.169.254", "100.100.100.200"),
        *("0.0.0.0", "224.0.0.1", "255.255.255.255", "168.63.129.16", "::1", "::", "fe80::1%eth0"),
        *("fd00:ec2::254", "::ffff:127.0.0.1", "::ffff:169.254.169.254", "64:ff9b::7f00:1"),
        *("2002:7f00:1::", "::7f00:1", "ff02::1", "not an address"),
    ],
)
def test_inside_addresses_are_known_in_any_spelling(inside: str) -> None:
    assert not is_public(inside)


@pytest.mark.parametrize("public", ["1.1.1.1", "93.184.216.34", "2606:4700::1111", "64:ff9b::101:101"])
def test_public_addresses_are_public(public: str) -> None:
    assert is_public(public)
