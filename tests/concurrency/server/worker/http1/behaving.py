"""A WSGI application without Django's handler, which does what its path says."""

from __future__ import annotations

import concurrency.patch  # noqa: F401 - before Django is imported

# isort: split

import gzip
import io
import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import gevent
from django.conf import settings

if not settings.configured:
    settings.configure(SECRET_KEY="of a test", ROOT_URLCONF=__name__, INSTALLED_APPS=[])
urlpatterns: list[Any] = []

Start = Callable[..., Any]
FOLDER = Path(os.environ.get("FOLDER_OF_TEST", "."))
SIZE = 300_000


class One:
    """An iterable of one chunk that says so."""

    def __len__(self) -> int:
        return 1

    def __iter__(self) -> Iterator[bytes]:
        yield b"only"


class Broken:
    """An answer that cannot be closed."""

    def __iter__(self) -> Iterator[bytes]:
        yield b"whole"

    def close(self) -> None:
        raise LookupError("close() fails")


def answer(environ: dict[str, Any], start: Start) -> Iterable[bytes]:
    """Answer as the path asks."""
    return globals()[environ["PATH_INFO"].strip("/")](environ, start)  # type: ignore[no-any-return]


def _file(environ: dict[str, Any], start: Start, file: Any, size: int | None = SIZE) -> Any:
    start("200 OK", [] if size is None else [("Content-Length", str(size))])
    return environ["wsgi.file_wrapper"](file, 8192)


def echo(environ: dict[str, Any], start: Start) -> list[bytes]:
    """Answer with the body, and what is known of it."""
    body = environ["wsgi.input"].read()
    start("200 OK", [("X-Terminated", str(environ["wsgi.input_terminated"]))])
    return [b"<%d>" % len(body), body]


def who(environ: dict[str, Any], start: Start) -> list[bytes]:
    """Answer with whom the request comes from."""
    start("200 OK", [])
    return [f"<{environ['REMOTE_ADDR']} {environ.get('PROXY_ADDR')}>".encode()]


def file(environ: dict[str, Any], start: Start) -> Any:
    """Answer with a file."""
    return _file(environ, start, (FOLDER / "file").open("rb"))


def rest(environ: dict[str, Any], start: Start) -> Any:
    """Answer with a file of which a part has been read."""
    opened = (FOLDER / "file").open("rb")
    opened.read(10)
    return _file(environ, start, opened, SIZE - 10)


def unpacked(environ: dict[str, Any], start: Start) -> Any:
    """Answer with what a packed file holds."""
    return _file(environ, start, gzip.open(FOLDER / "packed"))


def memory(environ: dict[str, Any], start: Start) -> Any:
    """Answer with what only looks like a file."""
    return _file(environ, start, io.BytesIO((FOLDER / "file").read_bytes()), None)


def one(environ: dict[str, Any], start: Start) -> One:
    """Answer with one chunk, and no length."""
    start("200 OK", [])
    return One()


def short(environ: dict[str, Any], start: Start) -> list[bytes]:
    """Answer with less than was said."""
    start("200 OK", [("Content-Length", "10")])
    return [b"short"]


def broken(environ: dict[str, Any], start: Start) -> Broken:
    """Answer with what cannot be closed."""
    start("200 OK", [("Content-Length", "5")])
    return Broken()


def stops(environ: dict[str, Any], start: Start) -> list[bytes]:
    """Fail as next() does."""
    raise StopIteration


def times_out(environ: dict[str, Any], start: Start) -> list[bytes]:
    """Fail with what is no Exception."""
    raise gevent.Timeout(1)


def endless(environ: dict[str, Any], start: Start) -> Iterator[bytes]:
    """Answer without an end, in chunks."""
    start("200 OK", [])
    while True:
        yield b"x" * 1000


def taken(environ: dict[str, Any], start: Start) -> list[bytes]:
    """Leave HTTP: return what is sent, until a line ends."""
    sock = environ["gunicorn.socket"]
    with sock.makefile("rb") if environ["QUERY_STRING"] else sock as reader:
        read = reader.readline if environ["QUERY_STRING"] else lambda: sock.recv(100)
        environ["gunicorn.socket"].sendall(b"got " + read())
    return []


def load() -> Any:
    """Return the application; Django is set up when gunicorn loads it."""
    import django

    django.setup()
    return answer


application = load()
