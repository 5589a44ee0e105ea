"""OpenAI's side of a ChatGPT login, over TLS on this machine, as far as Codex 0.163 asks it.

The device flow, the exchange of a code for tokens, the workspace of the account, and its models' answers,
which are a scripted server's.
"""

from __future__ import annotations

import base64
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
from urllib.parse import parse_qs

import httpx
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

CODE = "code-of-nobody"
USER_CODE = "ABCD-1234"
ACCOUNT = "account-of-nobody"
EMAIL = "ana@example.com"


@dataclass
class ChatGpt:
    """One that knows one person. `asked` has the path of each request with its form or JSON."""

    url: str
    authority: Path
    """What a client is to trust."""
    model_url: str
    model_key: str
    asked: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    """Of requests to the model."""
    granted: threading.Event = field(default_factory=threading.Event)
    """Set when the person has entered the code of a device."""

    @property
    def access_token(self) -> str:
        """What the account's requests are to carry."""
        claims = {"chatgpt_plan_type": "plus", "chatgpt_account_id": ACCOUNT, "chatgpt_user_id": "user-1"}
        body = {"email": EMAIL, "exp": 4_000_000_000, "https://api.openai.com/auth": claims}
        return f"{_segment({'alg': 'none'})}.{_segment(body)}.{_segment({})}"

    def answer(self, path: str, told: dict[str, Any]) -> tuple[int, Any]:
        """Status and JSON of the answer to a request."""
        self.asked.append((path, told))
        match path.removeprefix("/api/accounts").partition("?")[0]:
            case "/deviceauth/usercode":
                return 200, {"device_auth_id": "device-1", "user_code": USER_CODE, "interval": "1"}
            case "/deviceauth/token" if self.granted.is_set():
                return 200, {"authorization_code": CODE, "code_challenge": "c", "code_verifier": "v"}
            case "/oauth/token" if told.get("code") == CODE:
                token = self.access_token
                return 200, {"id_token": token, "access_token": token, "refresh_token": "refresh-1"}
            case "/backend-api/wham/accounts/check":
                free = {"workspace_backend_origin": self.url, "account_routing_override": "NO_CONSTRAINT"}
                entry = {"id": ACCOUNT, "plan_type": "plus", "structure": "personal", "name": None, **free}
                return 200, {"accounts": [entry], "account_ordering": [ACCOUNT]}
            case "/backend-api/codex/responses":
                return 426, {}  # no websocket: Codex goes on with requests, after some tries
            case "/oauth/token" | "/deviceauth/token":
                return 403, {"error": "authorization_pending"}
        return 404, {}


@contextmanager
def chatgpt(folder: Path, model_url: str, model_key: str) -> Iterator[ChatGpt]:
    """Serve it from a thread; the models are those of an OpenAI-compatible server."""
    trusted, served = _certificate(folder)
    server = _Server(("127.0.0.1", 0), _Handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(served)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    one = server.one = ChatGpt(f"https://127.0.0.1:{server.server_port}", trusted, model_url, model_key)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield one
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Server(ThreadingHTTPServer):
    one: ChatGpt


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self._json(*self._served.answer(self.path, {}))

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.path.endswith("/codex/responses"):
            self._model(body)
            return
        form = "urlencoded" in self.headers.get("Content-Type", "")
        told = {name: each[0] for name, each in parse_qs(body.decode()).items()} if form else json.loads(body)
        self._json(*self._served.answer(self.path, told))

    @property
    def _served(self) -> ChatGpt:
        assert isinstance(self.server, _Server)
        return self.server.one

    def _model(self, body: bytes) -> None:
        one = self._served
        one.headers.append({name.lower(): value for name, value in self.headers.items()})
        sent = {"Authorization": f"Bearer {one.model_key}", "Content-Type": "application/json"}
        answer = httpx.post(
            f"{one.model_url}/responses", content=body, headers=sent, timeout=30, trust_env=False
        )
        self._send(answer.status_code, answer.headers["content-type"], answer.content)

    def _json(self, status: int, value: Any) -> None:
        self._send(status, "application/json", json.dumps(value).encode())

    def _send(self, status: int, kind: str, data: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def _segment(value: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


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
