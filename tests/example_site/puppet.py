"""A service that behaves as a test says: it answers, is silent, fails, or answers garbage."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from urllib.parse import unquote

from tests.servers import impostor

__all__ = ["Puppet", "puppet"]

PEOPLE = {"adler": "Irene Adler", "hudson": "Mrs. Hudson", "watson": "John Watson"}


class Puppet:
    """Both services that the frontend asks, behind one address.

    Attributes:
        url: the address.
        moods: for the beginning of a path, how what is asked for there is answered: "silent",
            "broken", "garbage", "list", "late" or "gone". The first that fits counts.
        asked: the paths that were asked for.
    """

    def __init__(self) -> None:
        self.url = ""
        self.moods: dict[str, str] = {}
        self.asked: list[str] = []
        self._end = threading.Event()

    def calm(self) -> None:
        """Answer all as it should be, and end the silence of those that wait."""
        self.moods.clear()
        self._end.set()
        self._end = threading.Event()

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        """Answer one request, as the mood for its path is."""
        path = unquote(request.path)
        self.asked.append(path)
        mood = next((mood for start, mood in self.moods.items() if path.startswith(start)), "")
        if mood == "silent" and self._end.wait(10):
            mood = ""
        if mood not in {"gone", "silent"}:
            with contextlib.suppress(ConnectionError):  # who has waited may have left
                self._say(request, mood, path)
        request.close_connection = True

    def _say(self, request: BaseHTTPRequestHandler, mood: str, path: str) -> None:
        found = facts(path)
        status = {"broken": 500, "late": 504}.get(mood, 200 if found else 404)
        body = {"garbage": "<html>", "list": "[1]"}.get(mood, json.dumps(found or {})).encode()
        request.send_response(status)
        request.send_header("Content-Type", "application/json")
        request.send_header("Content-Length", str(len(body)))
        request.end_headers()
        request.wfile.write(body)


def facts(path: str) -> dict[str, object] | None:
    """Return what the real services would answer, as far as tests ask for it."""
    match path.strip("/").split("/"):
        case ["person"]:
            return {"people": list(PEOPLE)}
        case ["person", slug]:
            return {"full_name": PEOPLE[slug]} if slug in PEOPLE else None
        case ["greet", "tod", _]:
            return {"slug": "goodevening", "salutation": "Good evening"}
        case ["translate", "goodevening", "es"]:
            return {"translation": "Buenas tardes"}
    return None


@contextmanager
def puppet() -> Iterator[Puppet]:
    """Run one."""
    made = Puppet()
    answers: Callable[[BaseHTTPRequestHandler], None] = made.answer
    with impostor(answers) as made.url:
        try:
            yield made
        finally:
            made.calm()
