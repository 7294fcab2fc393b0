"""``Front``: a WSGI application before all others, for what a request has to have.

A host, a body that is whole and has a length, and a socket that the application may take
over. It serves gunicorn's own worker as well as ours.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from typing import Any

from gunicorn.http.errors import ParseException

from concurrency.deadlines import deadline
from concurrency.server.worker import bodies
from concurrency.server.worker.answers import ending
from concurrency.server.worker.takeover import Handle

__all__ = ["Front"]

logger = logging.getLogger("concurrency.server")

Application = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]

_LINGER = 5.0  # seconds in which the rest of a body that was refused is read

_NO_HOST = "400 Bad Request", b"A request by HTTP/1.1 needs a Host header.\n"
_CUT_OFF = "400 Bad Request", b"The body of the request is incomplete or malformed.\n"
_TOO_SLOW = "408 Request Timeout", b"The body of the request came too slowly.\n"
_TOO_LARGE = (
    "413 Content Too Large",
    b"The body of the request is larger than this server takes.\n",
)
_NO_SPACE = "503 Service Unavailable", b"The body of the request could not be stored.\n"


class Front:
    """Complete requests before the application sees them, or refuse them.

    Args:
        application: what is behind it.
        max_body_size: bytes that a body may have; 0: any number.
        min_rate: bytes per second that a client has to send of a body in chunks, on
            average; 0: any rate.
        folder: of bodies that are too large for memory; empty for the system's.
    """

    def __init__(
        self, application: Application, *, max_body_size: int, min_rate: int, folder: str = ""
    ) -> None:
        self._application = application
        self._max_body_size = max_body_size
        self._min_rate = min_rate
        self._folder = folder or None

    def __call__(
        self, environ: dict[str, Any], start_response: Callable[..., Any]
    ) -> Iterable[bytes]:
        """Serve one request."""
        if "HTTP_HOST" not in environ and environ["SERVER_PROTOCOL"] == "HTTP/1.1":
            return _refuse(environ, start_response, _NO_HOST)
        length = environ.get("CONTENT_LENGTH")
        if length:
            if self._max_body_size and int(length) > self._max_body_size:
                return _refuse(environ, start_response, _TOO_LARGE)
            body = environ["wsgi.input"]
            environ["wsgi.input"] = bodies.Announced(body, int(length))
        elif "HTTP_TRANSFER_ENCODING" in environ:
            return self._spooled(environ, start_response)
        return self._answer(environ, start_response)

    def _answer(
        self, environ: dict[str, Any], start_response: Callable[..., Any]
    ) -> Iterable[bytes]:
        sock = environ.get("gunicorn.socket")
        if sock is None:
            return self._application(environ, start_response)
        environ["gunicorn.socket"] = handle = Handle(sock)
        chunks = self._application(environ, start_response)
        if handle.is_taken:
            # Whatever the view returned: it is HTTP, and the connection is something else.
            close = getattr(chunks, "close", None)
            if close is not None:
                close()
            raise StopIteration  # which gunicorn takes for the end of the connection
        return chunks

    def _spooled(
        self, environ: dict[str, Any], start_response: Callable[..., Any]
    ) -> Iterable[bytes]:
        """Serve a request whose body has no length: read it, then it has one."""
        body = environ["wsgi.input"]
        try:
            file, length = bodies.spool(
                body, limit=self._max_body_size, min_rate=self._min_rate, folder=self._folder
            )
        except bodies.BodyTooLarge:
            return _refuse(environ, start_response, _TOO_LARGE)
        except bodies.BodyTooSlow:
            return _refuse(environ, start_response, _TOO_SLOW)
        except bodies.BodyCutOff:
            return _refuse(environ, start_response, _CUT_OFF)
        except OSError:
            logger.exception("the body of a request cannot be stored")
            return _refuse(environ, start_response, _NO_SPACE)
        del environ["HTTP_TRANSFER_ENCODING"]
        environ["CONTENT_LENGTH"] = str(length)
        environ["wsgi.input"] = file
        try:
            return ending(environ, self._answer(environ, start_response), file.close)
        except BaseException:
            file.close()
            raise


def _refuse(
    environ: dict[str, Any], start_response: Callable[..., Any], answer: tuple[str, bytes]
) -> Iterator[bytes]:
    """Answer, read what is still sent for a while, and end the connection."""
    status, text = answer
    # gunicorn gives a method of its response.
    force_close = getattr(getattr(start_response, "__self__", None), "force_close", None)
    if force_close is not None:
        force_close()
    start_response(status, [("Content-Type", "text/plain"), ("Content-Length", str(len(text)))])
    yield text
    # To close with bytes unread is to reset the connection, and the client, which is
    # still sending, would never see the answer.
    with suppress(OSError, ParseException), deadline(_LINGER):
        while environ["wsgi.input"].read(65536):
            pass
