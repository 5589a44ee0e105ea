"""Chromium for the tests of the page: the system's own, driven by Playwright.

Without Chromium the tests are skipped with the reason, in CI (environment variable `CI`) they fail.
`--screenshots FOLDER` says where pictures go; without it they go to `tests/browser/artifacts`.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio

from process_agent.studio.page import routes
from tests.browser.driver import Studio
from tests.fakes.room import local_room

if TYPE_CHECKING:
    from playwright.async_api import Browser

ARTIFACTS = Path(__file__).parent / "artifacts"
NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--screenshots", default=None, help="folder for the pictures the browser tests make")


@pytest.fixture(scope="session")
def screenshots(pytestconfig: pytest.Config) -> Path:
    given = pytestconfig.getoption("--screenshots", default=None)
    folder = Path(given) if isinstance(given, str) else ARTIFACTS
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def browser(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Browser]:
    from playwright.async_api import async_playwright

    program = next((found for name in NAMES if (found := shutil.which(name))), None)
    if program is None:
        message = "Chromium is not installed; `apt-get install chromium` or your system's own way brings it."
        if os.environ.get("CI"):
            pytest.fail(message)
        pytest.skip(message)
    home = str(tmp_path_factory.mktemp("chromium-home"))
    environment: dict[str, str | float | bool] = {**os.environ, "HOME": home, "XDG_CONFIG_HOME": home}
    async with async_playwright() as playwright:
        started = await playwright.chromium.launch(
            executable_path=program, args=FLAGS, env=environment, headless=True
        )
        try:
            yield started
        finally:
            await started.close()


@pytest_asyncio.fixture(loop_scope="session")
async def studio(browser: Browser, tmp_path: Path, screenshots: Path) -> AsyncIterator[Studio]:
    """A local room with the page, nobody in it yet."""
    async with local_room(tmp_path, routes()) as room:
        driver = Studio(room, browser, screenshots)
        try:
            yield driver
        finally:
            await driver.close()
