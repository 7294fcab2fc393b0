"""The PROXY protocol: a load balancer says in front of the first request for whom it speaks.

gunicorn reads it; this gives it the bytes, and the rest to the parser.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from gunicorn.http import errors

from concurrency.compat.gunicorn import check_proxy, read_proxy_protocol
from concurrency.server.worker.http1.refusals import Refusal

__all__ = ["read"]

_UNKNOWN = b"PROXY UNKNOWN"
_LONGEST = 107  # bytes of a line in version 1


class _Unreader:
    """What gunicorn reads from."""

    def __init__(self, receive: Callable[[], bytes]) -> None:
        self.read = receive


def read(
    cfg: Any, peer: Any, first: bytes, receive: Callable[[], bytes]
) -> tuple[dict[str, Any], bytes]:
    """Return what the PROXY protocol says, for the environment, and the bytes behind it.

    Args:
        cfg: gunicorn's configuration; ``proxy_protocol`` says which version is read.
        peer: address of the other end, which has to be one of ``proxy_allow_ips``.
        first: what has arrived of the connection.
        receive: returns more.

    Raises:
        Refusal: it is malformed, or comes from somebody who must not send it.
    """
    unreader, data = _Unreader(receive), bytearray(first)
    try:
        if cfg.proxy_protocol != "v2" and _is_unknown(data, receive):
            check_proxy(cfg, peer)
            return {}, bytes(data.partition(b"\r\n")[2])
        info, rest = read_proxy_protocol(cfg, peer, unreader, data)
    except errors.ForbiddenProxyRequest:
        raise Refusal(403, "This peer must not send the PROXY protocol.") from None
    except (errors.ParseException, errors.NoMoreData):
        raise Refusal(400, "The header of the PROXY protocol is malformed.") from None
    if not info:
        return {}, rest
    found = {"PROXY_PROTOCOL": info["proxy_protocol"]}
    if info["client_addr"] is not None:
        found |= {
            "REMOTE_ADDR": info["client_addr"],
            "REMOTE_PORT": str(info["client_port"]),
            "PROXY_ADDR": info["proxy_addr"],
            "PROXY_PORT": str(info["proxy_port"]),
        }
    return found, rest


def _is_unknown(data: bytearray, receive: Callable[[], bytes]) -> bool:
    """Return whether a proxy speaks for itself, as in checks of health; gunicorn refuses that.

    Args:
        data: what has arrived; the whole line afterwards, if it is such a one.
        receive: returns more.
    """
    while len(data) < len(_UNKNOWN) and _UNKNOWN.startswith(data):
        data += _more(receive)
    if not data.startswith(_UNKNOWN):
        return False
    while b"\r\n" not in data:
        if len(data) > _LONGEST:
            raise errors.InvalidProxyLine("PROXY UNKNOWN")
        data += _more(receive)
    return True


def _more(receive: Callable[[], bytes]) -> bytes:
    data = receive()
    if not data:
        raise errors.NoMoreData
    return data
