"""MeshAgent's REST API as far as services go. Errors name places and what was said, never a token."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

from process_agent.core.content import Json
from process_agent.core.discretion import without_addresses
from process_agent.errors import AuthError, ProcessError, RoomError, UsageError

if TYPE_CHECKING:
    import httpx

REQUEST_SECONDS: Final = 30.0
"""How long MeshAgent may be silent."""
ANSWER_SECONDS: Final = 90.0
"""How long one answer may take in all."""
MAX_ANSWER: Final = 16 * 1024 * 1024
MAX_SAID: Final = 300
"""Characters of a refusal that are shown."""


@dataclass(frozen=True, slots=True)
class Access:
    """Where, in which project, and as whom. `room` None is the project itself."""

    api_url: str
    project_id: str
    room: str | None
    bearer: str = field(repr=False)

    @property
    def label(self) -> str:
        """The scope, for people."""
        where = f"project {self.project_id} at {self.api_url}"
        return where if self.room is None else f"room {self.room} of {where}"

    @property
    def url(self) -> str:
        """Where its services are."""
        room = "" if self.room is None else f"/rooms/{quote(self.room, safe='')}"
        project = quote(self.project_id, safe="")
        return f"{self.api_url}/accounts/projects/{project}{room}/services"


class ServicesApi:
    """The services of one scope. Nothing stays open between calls."""

    def __init__(self, access: Access) -> None:
        self._access = access
        self._headers = {
            "Authorization": f"Bearer {access.bearer}",
            "Accept": "application/json",
            "Consistency": "fast",
        }

    def list(self) -> list[dict[str, Json]]:
        """All of them. Raises `AuthError` and `RoomError`."""
        found = self._json(self._ask("GET", ""))
        listed = found.get("services") if isinstance(found, dict) else None
        if not isinstance(listed, list) or not all(isinstance(each, dict) for each in listed):
            raise RoomError(f"MeshAgent listed no services for {self._access.label}.")
        return listed

    def create(self, document: Mapping[str, Json]) -> str:
        """Make one; its id. Raises `UsageError` for a name in use or a document it does not take."""
        found = self._json(self._ask("POST", "", document))
        made = found.get("id") if isinstance(found, dict) else None
        if not isinstance(made, str) or not made:
            raise RoomError(f"MeshAgent made a service in {self._access.label} and did not say its id.")
        return made

    def update(self, service_id: str, document: Mapping[str, Json]) -> None:
        """Put a new document in the old one's place. Raises what `create` raises."""
        self._ask("PUT", f"/{quote(service_id, safe='')}", {**document, "id": service_id})

    def delete(self, service_id: str) -> None:
        """Remove one. Raises `AuthError` and `RoomError`."""
        self._ask("DELETE", f"/{quote(service_id, safe='')}")

    def _ask(self, method: str, path: str, body: Mapping[str, Json] | None = None) -> httpx.Response:
        import httpx

        sent = None if body is None else dict(body)
        until = time.monotonic() + ANSWER_SECONDS
        try:
            with (
                httpx.Client(timeout=REQUEST_SECONDS, follow_redirects=False) as client,
                client.stream(method, self._access.url + path, json=sent, headers=self._headers) as coming,
            ):
                content = self._content(coming, until)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            why = without_addresses(str(error)) or type(error).__name__  # a proxy's may have a password
            raise RoomError(
                f"MeshAgent at {self._access.api_url} cannot be reached: {why}.",
                fix="Check the network and MESHAGENT_API_URL.",
            ) from error
        answer = httpx.Response(coming.status_code, content=content)
        if not answer.is_success:
            raise self._refusal(answer)
        return answer

    def _content(self, coming: httpx.Response, until: float) -> bytes:
        """The body, as far as it is needed. Raises `RoomError` for one that is too long, or does not end."""
        content = bytearray()
        for piece in coming.iter_bytes():
            content += piece
            if len(content) > MAX_ANSWER:
                raise RoomError(
                    f"MeshAgent's answer for the {self._access.label} is longer than {MAX_ANSWER} bytes."
                )
            if time.monotonic() > until:
                raise RoomError(f"MeshAgent's answer for the {self._access.label} does not end.")
        return bytes(content)

    def _json(self, answer: httpx.Response) -> Any:
        try:
            return answer.json()
        except ValueError as error:
            raise RoomError(f"MeshAgent's answer for {self._access.label} is not JSON.") from error

    def _refusal(self, answer: httpx.Response) -> ProcessError:
        status, where = answer.status_code, self._access.label
        said = self._said(answer)
        if status == 401:
            return AuthError(
                f"MeshAgent does not take these credentials for the {where} (HTTP 401).",
                fix="Log in again with process login, or set MESHAGENT_API_KEY.",
            )
        if status == 403:
            return AuthError(
                f"You may not do this in the {where} (HTTP 403){said}.",
                fix="Ask somebody who manages the project.",
            )
        if status == 409:
            return UsageError(
                f"The name is in use in the {where} (HTTP 409){said}.", fix="Choose another --service-name."
            )
        if status == 423:
            return RoomError(f"The {where} is disabled (HTTP 423){said}.")
        if status == 404:
            return RoomError(
                f"There is no such service, or no {where} (HTTP 404).", fix="Check --room and --project-id."
            )
        if status == 400:
            return UsageError(f"MeshAgent does not take this document (HTTP 400){said}.")
        return RoomError(f"MeshAgent could not do it for the {where} (HTTP {status}){said}.")

    def _said(self, answer: httpx.Response) -> str:
        """What it said, as text that cannot hold our credential."""
        try:
            body = answer.json()
            error = body.get("error", body) if isinstance(body, dict) else body
            text = error.get("message", "") if isinstance(error, dict) else json.dumps(error)
        except ValueError:
            text = answer.text
        plain = "".join(c if c.isprintable() else " " for c in str(text)).replace(
            self._access.bearer, "[hidden]"
        )
        return f": {plain[:MAX_SAID].strip()}" if plain.strip() else ""
