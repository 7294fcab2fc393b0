"""The body of a WSGI response: whether it is complete, and when it ends."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sized
from typing import Any

__all__ = ["ending", "has_one_chunk", "is_complete"]


def is_complete(environ: dict[str, Any], chunks: Iterable[bytes]) -> bool:
    """Return whether the body of a response is already complete.

    This is true of lists, of Django's non-streaming responses, and of a file, which the
    server sends by itself.
    """
    if getattr(chunks, "streaming", None) is False or isinstance(chunks, list | tuple):
        return True
    return _is_file(environ, chunks)


def has_one_chunk(chunks: Iterable[bytes]) -> bool:
    """Return whether an answer says that it has one chunk, which is then all there is."""
    if isinstance(chunks, _Body):
        chunks = chunks.chunks
    return isinstance(chunks, Sized) and len(chunks) == 1


def ending(
    environ: dict[str, Any], chunks: Iterable[bytes], then: Callable[[], None]
) -> Iterable[bytes]:
    """Return a body that calls a function after its last chunk, or when it is closed.

    Args:
        environ: of the request.
        chunks: the body of the response.
        then: the function; it may be called twice.
    """
    body = _Body(chunks, getattr(chunks, "close", None), then)
    if _is_file(environ, chunks):
        # It has to stay what it is, so that the kernel can send the file.
        chunks.close = body.close  # type: ignore[attr-defined]
        return chunks
    return body


def _is_file(environ: dict[str, Any], chunks: Iterable[bytes]) -> bool:
    wrapper = environ.get("wsgi.file_wrapper")
    return isinstance(wrapper, type) and isinstance(chunks, wrapper)


class _Body:
    """The body of a response, and the function to call at its end."""

    __slots__ = ("_close", "_then", "chunks")

    def __init__(
        self,
        chunks: Iterable[bytes],
        close: Callable[[], None] | None,
        then: Callable[[], None],
    ) -> None:
        self.chunks = chunks
        self._close = close
        self._then = then

    def __iter__(self) -> Iterator[bytes]:
        yield from self.chunks
        self._then()

    def close(self) -> None:
        try:
            if self._close is not None:
                self._close()
        finally:
            self._then()
