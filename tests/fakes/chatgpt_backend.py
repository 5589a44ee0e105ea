"""ChatGPT as Codex's own provider asks it, over TLS on this machine: an account's workspace, and models.

A scripted server answers for the models.
"""

from __future__ import annotations

import ipaddress
import json
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from process_agent.scripted.server import ScriptedServer


@dataclass
class Backend:
    """One for one account. `headers` are those of requests to its models."""

    url: str
    authority: Path
    """What a client is to trust."""
    account: str
    model: ScriptedServer
    headers: list[dict[str, str]] = field(default_factory=list)

    def answer(self, path: str) -> tuple[int, Any]:
        """Status and JSON of the answer to a question about the account."""
        match path.partition("?")[0]:
            case "/backend-api/wham/accounts/check":
                free = {"workspace_backend_origin": self.url, "account_routing_override": "NO_CONSTRAINT"}
                entry = {"id": self.account, "plan_type": "plus", "structure": "personal", **free}
                return 200, {"accounts": [entry], "account_ordering": [self.account]}
            case "/backend-api/codex/responses":
                return 426, {}  # no websocket: Codex goes on with requests, after some tries
        return 404, {}


@contextmanager
def chatgpt_backend(folder: Path, account: str, model: ScriptedServer) -> Iterator[Backend]:
    """Serve it from a thread."""
    trusted, served = _certificate(folder)
    server = _Server(("127.0.0.1", 0), _Handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(served)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    one = server.one = Backend(f"https://127.0.0.1:{server.server_port}", trusted, account, model)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield one
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Server(ThreadingHTTPServer):
    one: Backend


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        status, value = self._one.answer(self.path)
        self._send(status, "application/json", json.dumps(value).encode())

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.path != "/backend-api/codex/responses":
            self._send(404, "application/json", b"{}")
            return
        one = self._one
        one.headers.append({name.lower(): value for name, value in self.headers.items()})
        sent = {"Authorization": f"Bearer {one.model.api_key}", "Content-Type": "application/json"}
        url = f"{one.model.base_url}/responses"
        answer = httpx.post(url, content=body, headers=sent, timeout=30, trust_env=False)
        self._send(answer.status_code, answer.headers["content-type"], answer.content)

    @property
    def _one(self) -> Backend:
        assert isinstance(self.server, _Server)
        return self.server.one

    def _send(self, status: int, kind: str, data: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def _certificate(folder: Path) -> tuple[Path, Path]:
    """Files of an authority, and of this machine's certificate by it with its key."""
    ours, theirs = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    authority = _signed("authority of a test", ours, ours).add_extension(
        x509.BasicConstraints(ca=True, path_length=0), critical=True
    )
    here = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    leaf = _signed("127.0.0.1", theirs, ours).add_extension(here, critical=False)
    trusted, served = folder / "authority.pem", folder / "served.pem"
    trusted.write_bytes(_pem(authority.sign(ours, hashes.SHA256())))
    served.write_bytes(
        _pem(leaf.sign(ours, hashes.SHA256()))
        + theirs.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    return trusted, served


def _signed(
    subject: str, key: ec.EllipticCurvePrivateKey, issuer: ec.EllipticCurvePrivateKey
) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    by = subject if key is issuer else "authority of a test"
    return (
        x509.CertificateBuilder()
        .subject_name(_name(subject))
        .issuer_name(_name(by))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
    )


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, text)])


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)
