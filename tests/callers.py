"""Somebody who asks the HTTP API, in the test's own process."""

import json
from typing import Any
from uuid import uuid4

from django.http import HttpResponse
from django.test import Client

JSON = "application/json"


class Caller:
    """A program with a token; without one, a stranger."""

    def __init__(self, token: str = "") -> None:
        self._client = Client(enforce_csrf_checks=True)
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}

    def ask(self, method: str, path: str, body: Any = None, **options: Any) -> HttpResponse:
        """Ask, with a body as it is if it is text, otherwise as JSON."""
        if body is not None:
            data = body if isinstance(body, str | bytes) else json.dumps(body)
            options = {"data": data, "content_type": JSON} | options
        headers = self._headers | options.pop("headers", {})
        return self._client.generic(method, path, headers=headers, **options)

    def get(self, path: str) -> Any:
        """What is there, which has to be good."""
        return good(self.ask("GET", path))

    def post(self, path: str, body: Any = None) -> Any:
        """What a good request is answered."""
        return good(self.ask("POST", path, body))

    def say(self, room: Any, body: str, id: Any = None) -> HttpResponse:
        return self.ask("POST", messages(room), {"id": str(id or uuid4()), "body": body})

    def history(self, room: Any, query: str = "") -> Any:
        return self.get(f"{messages(room)}?{query}")


def messages(room: Any) -> str:
    return f"/api/rooms/{getattr(room, 'pk', room)}/messages"


def good(response: HttpResponse) -> Any:
    assert response.status_code in (200, 201), response.content
    return json.loads(response.content)


def refusal(response: HttpResponse) -> tuple[int, str]:
    """Status and code of an answer that says why not, as all of them do."""
    body = json.loads(response.content)
    assert response["Content-Type"] == JSON
    assert "no-store" in response["Cache-Control"]
    assert body["detail"]
    assert body.keys() <= {"code", "detail", "retry_after_ms"}
    assert ("retry_after_ms" in body) == ("Retry-After" in response)
    return response.status_code, body["code"]
