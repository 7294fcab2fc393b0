"""What gunicorn does not promise. Importing it imports gunicorn's parser."""

from __future__ import annotations

from typing import Any

from gunicorn.http.message import Request

from concurrency.compat.names import Names

__all__ = ["NAMES", "check_proxy", "read_proxy_protocol"]

NAMES = Names(
    "gunicorn",
    "gunicorn.arbiter:Arbiter.LISTENERS",
    "gunicorn.arbiter:Arbiter.START_CTX",
    "gunicorn.arbiter:Arbiter.num_workers",
    "gunicorn.config:Config().env_orig",
    "gunicorn.http.message:Request._handle_proxy_protocol(self, unreader, data, mode)",
    "gunicorn.http.message:Request.proxy_protocol_access_check(self)",
    "gunicorn.http.message:Request().cfg",
    "gunicorn.http.message:Request().peer_addr",
    "gunicorn.http.message:Request().proxy_protocol_info",
    "gunicorn.workers.base:Worker.PIPE",
)


def read_proxy_protocol(
    cfg: Any, peer: Any, unreader: Any, data: bytearray
) -> tuple[dict[str, Any] | None, bytes]:
    """Return what the PROXY protocol says in front of a request, and the bytes behind it.

    Args:
        cfg: gunicorn's configuration.
        peer: address of the other end.
        unreader: its ``read()`` returns more bytes.
        data: what has arrived.

    Raises:
        gunicorn.http.errors.ForbiddenProxyRequest: the peer must not send it.
        gunicorn.http.errors.ParseException: it is malformed.
    """
    request = _request(cfg, peer)
    rest = request._handle_proxy_protocol(unreader, data, cfg.proxy_protocol)
    return request.proxy_protocol_info, bytes(rest)


def check_proxy(cfg: Any, peer: Any) -> None:
    """Raise if a peer must not send the PROXY protocol.

    Raises:
        gunicorn.http.errors.ForbiddenProxyRequest: it must not.
    """
    _request(cfg, peer).proxy_protocol_access_check()


def _request(cfg: Any, peer: Any) -> Any:
    request: Any = Request.__new__(Request)
    request.cfg, request.peer_addr, request.proxy_protocol_info = cfg, peer, None
    return request
