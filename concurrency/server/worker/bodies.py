"""The bodies of requests: as long as announced, and with a length where none was announced.

Django reads ``CONTENT_LENGTH`` bytes and takes the end of the input for the end of the body.
So Django would see a chunked body as empty, and a cut-off one as complete. Depends on
gunicorn only for the errors of its parser.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from tempfile import SpooledTemporaryFile
from typing import IO, Any

from gunicorn.http.errors import ParseException

from concurrency.deadlines import deadline
from concurrency.errors import DeadlineExceeded
from concurrency.server.worker.unsent import OVER

__all__ = ["Announced", "BodyCutOff", "BodyTooLarge", "BodyTooSlow", "spool"]

# Bytes that are kept in memory; a longer body goes to a temporary file.
_IN_MEMORY = 1 << 20
_PIECE = 1 << 16


class BodyCutOff(OSError):
    """A body ended before its announced length, or its chunks are broken.

    An OSError, like all errors while reading a body: Django converts it to
    ``UnreadablePostError``.
    """


class BodyTooLarge(OSError):
    """A chunked body exceeds the size limit."""


class BodyTooSlow(OSError):
    """The client sent a body more slowly than the minimum rate."""


class Announced:
    """A body whose length was announced; fewer bytes are an error (RFC 9112, 6.3).

    Args:
        body: the server's; it returns fewer bytes than requested only at its end.
        length: bytes.
    """

    __slots__ = ("_body", "_left")

    def __init__(self, body: Any, length: int) -> None:
        self._body = body
        self._left = length

    def read(self, size: int | None = -1) -> bytes:
        """Return this many bytes, or all that are left.

        Raises:
            BodyCutOff: the client has sent fewer bytes than announced.
        """
        wanted = self._wanted(size)
        return self._taken(self._body.read(wanted), wanted) if wanted else b""

    def readline(self, size: int | None = -1) -> bytes:
        """Return a line, or the part of one that fits the size.

        Raises:
            BodyCutOff: the client has sent fewer bytes than announced.
        """
        wanted = self._wanted(size)
        data = self._body.readline(wanted) if wanted else b""
        return self._taken(data, 0 if data.endswith(b"\n") else wanted)

    def readlines(self, hint: int | None = -1) -> list[bytes]:
        """Return the lines that are left.

        Raises:
            BodyCutOff: the client has sent fewer bytes than announced.
        """
        return list(self)

    def __iter__(self) -> Iterator[bytes]:
        return iter(self.readline, b"")

    def _wanted(self, size: int | None) -> int:
        return self._left if size is None or size < 0 else min(size, self._left)

    def _taken(self, data: bytes, least: int) -> bytes:
        self._left -= len(data)
        if len(data) < least:
            raise BodyCutOff(f"the body ended {self._left} bytes before its announced end")
        return data


def spool(
    body: Any, *, limit: int, min_rate: int, folder: str | None = None
) -> tuple[IO[bytes], int]:
    """Read a body to its end; return a file that begins with it, and its length.

    Args:
        body: the server's.
        limit: maximum size in bytes; 0: no limit.
        min_rate: bytes per second that the client must send, averaged over ``OVER``
            seconds; 0: any rate.
        folder: the folder for a large body; None for the system's folder.

    Raises:
        BodyTooLarge: the body exceeds ``limit``.
        BodyCutOff: the body ends too early, or its chunks are broken.
        BodyTooSlow: the client sends more slowly than ``min_rate``.
        OSError: the file cannot be written.
    """
    file: Any = SpooledTemporaryFile(_IN_MEMORY, dir=folder)  # noqa: SIM115 - closed with the answer
    try:
        length = 0
        while data := _piece(body, int(min_rate * OVER)):
            length += len(data)
            if limit and length > limit:
                raise BodyTooLarge("the body is larger than max-body-size")
            file.write(data)
        file.seek(0)
    except BaseException:
        file.close()
        raise
    return file, length


def _piece(body: Any, least: int) -> bytes:
    """Return the next chunk; with a minimum rate it must arrive in time."""
    limited: AbstractContextManager[Any] = deadline(OVER) if least else nullcontext()
    try:
        with limited:
            data: bytes = body.read(least or _PIECE)
    except (DeadlineExceeded, TimeoutError):
        raise BodyTooSlow("the body came too slowly") from None
    except (ParseException, OSError) as error:
        raise BodyCutOff(f"the body is broken: {error or type(error).__name__}") from error
    return data
