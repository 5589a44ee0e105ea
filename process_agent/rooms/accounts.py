"""The few calls of MeshAgent's REST API that a login needs. Errors name addresses, never tokens."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from process_agent.errors import AuthError, RoomError

if TYPE_CHECKING:
    import httpx

REQUEST_SECONDS: Final = 15.0
MAX_ANSWER: Final = 4 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Project:
    """A project that whoever is logged in may use."""

    id: str
    name: str


class Accounts:
    """One API. Whoever makes it closes it."""

    def __init__(self, api_url: str) -> None:
        import httpx

        self._api_url = api_url.rstrip("/")
        self._client = httpx.AsyncClient(timeout=REQUEST_SECONDS, follow_redirects=False)

    async def exchange(self, form: Mapping[str, str]) -> object:
        """Post a form to the token endpoint. Raises `AuthError` when it is refused, else `RoomError`."""
        answer = await self._ask("POST", "/oauth/token", form=form)
        if answer.status_code in (400, 401, 403):
            raise AuthError(
                f"MeshAgent at {self._api_url} refused the login: {_reason(answer)}.",
                fix="Log in again with `process login`.",
            )
        return self._json(answer, "a session")

    async def profile(self, access_token: str) -> Mapping[str, Any]:
        """Who is logged in. Raises `AuthError` and `RoomError`."""
        found = self._json(await self._get("/accounts/profiles/me", access_token), "a profile")
        return found if isinstance(found, dict) else {}

    async def projects(self, bearer: str) -> tuple[Project, ...]:
        """The projects there are. Raises `AuthError` and `RoomError`."""
        found = self._json(await self._get("/accounts/projects", bearer), "a list of projects")
        listed = found.get("projects") if isinstance(found, dict) else None
        return tuple(
            Project(str(each["id"]), str(each.get("name") or each["id"]))
            for each in (listed if isinstance(listed, list) else ())
            if isinstance(each, dict) and each.get("id")
        )

    async def close(self) -> None:
        """Close connections. Idempotent."""
        await self._client.aclose()

    async def _get(self, path: str, bearer: str) -> httpx.Response:
        answer = await self._ask("GET", path, bearer=bearer)
        if answer.status_code in (401, 403):
            raise AuthError(
                f"MeshAgent at {self._api_url} refused the login (HTTP {answer.status_code}).",
                fix="Log in again with `process login`.",
            )
        return answer

    async def _ask(
        self, method: str, path: str, *, bearer: str | None = None, form: Mapping[str, str] | None = None
    ) -> httpx.Response:
        import httpx

        headers = {"Accept": "application/json"}
        headers |= {} if bearer is None else {"Authorization": f"Bearer {bearer}"}
        try:
            return await self._client.request(method, self._api_url + path, headers=headers, data=form)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            why = str(error) or type(error).__name__
            raise RoomError(
                f"MeshAgent at {self._api_url} cannot be reached: {why}.",
                fix="Check the network and MESHAGENT_API_URL.",
            ) from error

    def _json(self, answer: httpx.Response, what: str) -> object:
        if not answer.is_success or len(answer.content) > MAX_ANSWER:
            raise RoomError(f"MeshAgent at {self._api_url} gave no {what[2:]} (HTTP {answer.status_code}).")
        try:
            found: object = answer.json()
        except ValueError as error:
            raise RoomError(f"MeshAgent at {self._api_url} answered {what} that is not JSON.") from error
        return found


def _reason(answer: httpx.Response) -> str:
    """What the token endpoint says in the words of OAuth; nothing else of its answer is shown."""
    try:
        said = answer.json().get("error")
    except (ValueError, AttributeError):
        said = None
    known = isinstance(said, str) and said.replace("_", "").isalpha() and len(said) < 60
    return f"{said}, HTTP {answer.status_code}" if known else f"HTTP {answer.status_code}"
