"""Serves Studio: one page and the files it is made of.

Only files that are in `static` when the routes are made are served, by exact name, so that no path in a
request can reach anything else. The page may load nothing from elsewhere and runs no inline script; its own
modules are the only script (Content-Security-Policy below).
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.routing import BaseRoute

STATIC = Path(__file__).parent / "static"

MIME_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
}
"""What is served at all. Spelled out, because the system's own table may not know scripts."""

POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data:",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
        "require-trusted-types-for 'script'",
        "trusted-types dompurify",
    )
)

HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    # Checked again at each load and answered with 304: an upgraded page never mixes with an old one.
    "Cache-Control": "no-cache",
}

BUILD_HINT = (
    "Studio is not built: its front-end packages are missing. Install the package again "
    "(`make setup`, or `pip install -e .` in the work tree) and load this page again.\n"
)


def routes(static: Path = STATIC) -> list[BaseRoute]:
    """The page at `/` and its files below `/static/`, to be mounted by a server."""
    from starlette.routing import Route

    catalogue = {
        path.relative_to(static).as_posix(): path
        for path in sorted(static.rglob("*"))
        if path.suffix in MIME_TYPES and path.is_file()
    }

    def index(request: Request) -> Response:
        if not (static / "vendor" / "versions.json").is_file():
            return _plain(503, BUILD_HINT)
        return _file(request, static / "index.html")

    def asset(request: Request) -> Response:
        path = catalogue.get(request.path_params["name"])
        return _plain(404, "There is no such file.\n") if path is None else _file(request, path)

    return [Route("/", index), Route("/static/{name:path}", asset)]


def _file(request: Request, path: Path) -> Response:
    from starlette.responses import Response

    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return _plain(404, "There is no such file any more.\n")
    tag = f'"{hashlib.sha256(content).hexdigest()[:32]}"'
    headers = HEADERS | {"ETag": tag}
    if tag in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    return Response(content, headers=headers | {"Content-Type": MIME_TYPES[path.suffix]})


def _plain(status: int, text: str) -> Response:
    from starlette.responses import PlainTextResponse

    return PlainTextResponse(text, status, headers=HEADERS)
