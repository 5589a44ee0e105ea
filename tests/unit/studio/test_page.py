"""The routes of the page: what is served, how, and what is not."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from starlette.applications import Starlette

from process_agent.studio.page import STATIC, routes


def client(static: Path = STATIC) -> httpx.AsyncClient:
    return httpx.AsyncClient(
        transport=httpx.ASGITransport(Starlette(routes=routes(static))), base_url="http://room.test"
    )


@pytest.fixture
async def page() -> AsyncIterator[httpx.AsyncClient]:
    async with client() as http:
        yield http


async def test_the_page_names_only_files_that_are_served(page: httpx.AsyncClient) -> None:
    answer = await page.get("/")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    named = re.findall(r'(?:href|src)="(static/[^"]+)"', answer.text)
    assert len(named) > 5
    for path in named:
        assert (await page.get(f"/{path}")).status_code == 200, path


async def test_every_import_leads_to_a_served_script(page: httpx.AsyncClient) -> None:
    queue, seen = ["/static/main.js"], set()
    while queue:
        url = queue.pop()
        if url in seen:
            continue
        seen.add(url)
        answer = await page.get(url)
        assert answer.status_code == 200, url
        assert answer.headers["content-type"] == "text/javascript; charset=utf-8"
        found = re.findall(r'^import (?:[^;]*? from )?"(\.[^"]+)";$', answer.text, re.MULTILINE)
        queue += [str(httpx.URL(f"http://x{url}").join(name).path) for name in found]
    scripts = {f"/static/{path.relative_to(STATIC).as_posix()}" for path in STATIC.rglob("*.js")}
    assert scripts - seen == {"/static/model/types.js"}, "every module is used"


async def test_the_policy_allows_nothing_from_elsewhere(page: httpx.AsyncClient) -> None:
    headers = (await page.get("/")).headers
    policy = dict(part.split(" ", 1) for part in headers["content-security-policy"].split("; "))
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == "'self'"
    assert policy["frame-ancestors"] == "'none'"
    assert policy["require-trusted-types-for"] == "'script'"
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    html = (await page.get("/")).text
    assert not re.search(r"<script(?![^>]*\ssrc=)|<style|\sstyle=|\son\w+=", html), "nothing inline"


async def test_unchanged_files_are_not_sent_again(page: httpx.AsyncClient) -> None:
    first = await page.get("/static/main.js")
    assert first.headers["cache-control"] == "no-cache"
    again = await page.get("/static/main.js", headers={"If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert again.headers["etag"] == first.headers["etag"]
    other = await page.get("/static/main.js", headers={"If-None-Match": '"something else"'})
    assert other.status_code == 200


@pytest.mark.parametrize(
    "path",
    [
        "/static/../page.py",
        "/static/%2e%2e/page.py",
        "/static/..%2fpage.py",
        "/static//etc/passwd",
        "/static/wire/../main.js",
        "/static/vendor/versions.json",
        "/static/vendor/marked.LICENSE",
        "/static/",
        "/static/nothing.js",
        "/static/main.js%00.css",
    ],
)
async def test_only_catalogued_files_are_served(page: httpx.AsyncClient, path: str) -> None:
    answer = await page.get(path)
    # The client itself takes dots out of a plain path; what is left must be the file it names or nothing.
    if answer.request.url.raw_path == b"/static/main.js":
        assert answer.status_code == 200
    else:
        assert answer.status_code == 404


async def test_files_that_came_later_are_not_served(tmp_path: Path) -> None:
    (tmp_path / "index.html").write_text("<!doctype html>")
    (tmp_path / "gone.js").write_text("1")
    async with client(tmp_path) as http:
        (tmp_path / "later.js").write_text("1")
        (tmp_path / "gone.js").unlink()
        assert (await http.get("/static/later.js")).status_code == 404
        assert (await http.get("/static/gone.js")).status_code == 404


async def test_a_page_that_was_not_built_says_so(tmp_path: Path) -> None:
    (tmp_path / "index.html").write_text("<!doctype html>")
    async with client(tmp_path) as http:
        answer = await http.get("/")
    assert answer.status_code == 503
    assert "pip install" in answer.text


def test_the_vendored_packages_are_the_wanted_ones() -> None:
    wanted = json.loads((STATIC.parent / "package.json").read_text("utf-8"))["dependencies"]
    assert json.loads((STATIC / "vendor" / "versions.json").read_text("utf-8")) == wanted
    for name in wanted:
        assert (STATIC / "vendor" / f"{name}.LICENSE").is_file()
