"""``Request``: one request, as gunicorn's hooks and its access log know one."""

from __future__ import annotations

from typing import Any

from concurrency.server.worker.http1.body import Body
from concurrency.server.worker.http1.refusals import Refusal

__all__ = ["Request"]


class Request:
    """A request whose head has arrived.

    Attributes:
        method: in capitals.
        uri: the request target as it was sent.
        path: of the target, still quoted.
        query: of the target, without its question mark.
        fragment: nothing; a target with one is refused.
        version: 1, and 0 or 1.
        environ: the WSGI environment as far as the head decides it.
        body: what has arrived of it.
        chunked: whether its length is not known beforehand.
        is_complete: whether all of it has.
        keeps_alive: whether the client may send another request.
        expects_continue: whether the client waits for "100 Continue".
        is_upgrade: whether it asks to leave HTTP.
        refusal: why the application does not get it; None if it does.
        must_close: whether the connection ends after the response.
    """

    __slots__ = (
        "__dict__",  # for hooks, which note what they like
        "body",
        "chunked",
        "environ",
        "expects_continue",
        "fields",
        "is_complete",
        "is_upgrade",
        "keeps_alive",
        "method",
        "must_close",
        "path",
        "peer_addr",
        "proxy_protocol_info",
        "query",
        "refusal",
        "scheme",
        "uri",
        "version",
    )

    fragment = ""
    trailers: tuple[()] = ()

    def __init__(self, environ: dict[str, Any], fields: list[tuple[bytes, bytes]]) -> None:
        self.environ = environ
        self.fields = fields
        self.body = Body()
        self.method = self.uri = self.path = self.query = self.scheme = ""
        self.version = (1, 1)
        self.chunked = False
        self.is_complete = False
        self.keeps_alive = True
        self.expects_continue = False
        self.is_upgrade = False
        self.must_close = False
        self.refusal: Refusal | None = None
        self.peer_addr: Any = None
        self.proxy_protocol_info: dict[str, Any] | None = None

    @property
    def remote_addr(self) -> Any:
        """The address of the peer, as gunicorn calls it."""
        return self.peer_addr

    @property
    def headers(self) -> list[tuple[str, str]]:
        """The header fields, names in capitals; made anew when asked for."""
        return [
            (name.decode("latin-1").upper(), value.decode("latin-1")) for name, value in self.fields
        ]

    @property
    def waits_to_be_asked(self) -> bool:
        """Whether the body is sent when the application wants it: it is announced by its length."""
        return self.expects_continue and not self.chunked

    def force_close(self) -> None:
        """End the connection after the response."""
        self.must_close = True

    def should_close(self) -> bool:
        """Return whether the connection ends after the response."""
        return self.must_close or not self.keeps_alive
