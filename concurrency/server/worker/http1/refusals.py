"""Why a request is refused before the application sees it."""

from __future__ import annotations

from http import HTTPStatus

__all__ = ["Refusal"]


class Refusal(Exception):
    """A request that is answered by the server itself, whose connection then ends.

    Args:
        status: of the response.
        reason: what is wrong, for the client; one line that quotes nothing it sent.
    """

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = HTTPStatus(status)
        self.reason = reason

    def response(self) -> bytes:
        """Return the whole response."""
        body = f"{self.reason}\n".encode()
        retry = "Retry-After: 1\r\n" if self.status == HTTPStatus.SERVICE_UNAVAILABLE else ""
        head = (
            f"HTTP/1.1 {self.status.value} {self.status.phrase}\r\n"
            f"Content-Type: text/plain; charset=utf-8\r\n"
            f"Content-Length: {len(body)}\r\n"
            f"{retry}"
            f"Connection: close\r\n\r\n"
        )
        return head.encode() + body
