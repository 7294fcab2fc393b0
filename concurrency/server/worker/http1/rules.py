"""``Rules``: what a server accepts, read once from gunicorn's configuration."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from ipaddress import ip_address
from typing import Any

__all__ = ["Rules", "unsupported"]

# gunicorn's own bounds, for a setting of 0 ("no limit") and for larger ones.
_MOST_FIELDS = 32768
_FIELD_SIZE = 8190
_LINE = 8190

# Settings that only gunicorn's own parser knows, and their values that change nothing.
_ONLY_DEFAULT = {
    "permit_obsolete_folding": False,
    "strip_header_spaces": False,
    "permit_unconventional_http_method": False,
    "permit_unconventional_http_version": False,
    "casefold_http_method": False,
    "tolerate_dangerous_framing": False,
    "protocol": "http",
}


def unsupported(cfg: Any) -> str | None:
    """Return what the worker cannot do of what gunicorn is configured for, or None.

    Args:
        cfg: gunicorn's configuration.
    """
    for name, default in _ONLY_DEFAULT.items():
        value = getattr(cfg, name, default)
        if value != default:
            return f"{name} = {value!r}"
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What a server accepts; sizes are in bytes.

    Attributes:
        line: the longest request target.
        fields: how many header fields a request may have.
        field_size: the longest field, name and value.
        body: the largest body; None for any.
        scheme: of requests of which no proxy says another one.
        header_map: what happens to names with an underscore: "drop", "refuse" or "dangerous".
        forwarder_headers: names with an underscore that a trusted proxy may send; "*" for all.
        secure_headers: keys of the environment by which a trusted proxy says that it was
            spoken to on TLS, and the values that mean so.
    """

    line: int = 4094
    fields: int = 100
    field_size: int = _FIELD_SIZE
    body: int | None = None
    scheme: str = "http"
    header_map: str = "drop"
    forwarder_headers: frozenset[str] = frozenset()
    secure_headers: tuple[tuple[str, str], ...] = ()
    networks: tuple[Any, ...] = field(default=(), repr=False)
    trusts_all: bool = False

    @classmethod
    def of(cls, cfg: Any, *, body: int | None = None) -> Rules:
        """Return what a configuration of gunicorn asks for.

        Args:
            cfg: the configuration.
            body: the largest body.
        """
        fields = cfg.limit_request_fields
        return cls(
            line=min(cfg.limit_request_line, _LINE) or _LINE,
            fields=fields if 0 < fields <= _MOST_FIELDS else _MOST_FIELDS,
            field_size=cfg.limit_request_field_size or _FIELD_SIZE,
            body=body or None,
            scheme="https" if cfg.is_ssl else "http",
            header_map=cfg.header_map,
            forwarder_headers=frozenset(cfg.forwarder_headers),
            secure_headers=tuple(
                (f"HTTP_{name.upper().replace('-', '_')}", value)
                for name, value in cfg.secure_scheme_headers.items()
            ),
            networks=tuple(cfg.forwarded_allow_networks()),
            trusts_all="*" in cfg.forwarded_allow_ips,
        )

    @property
    def head(self) -> int:
        """The longest head of a request."""
        return self.line + self.fields * (self.field_size + 2) + 4

    @property
    def first(self) -> int:
        """The longest head of which not even the first field is complete."""
        return self.line + self.field_size + 64

    def trusts(self, peer: Any) -> bool:
        """Return whether a peer may say for whom it forwards.

        Args:
            peer: its address as the socket has it; a unix socket's is no tuple, and trusted.
        """
        if self.trusts_all or not isinstance(peer, tuple):
            return True
        return _is_in(peer[0], self.networks)


@lru_cache(maxsize=1024)
def _is_in(address: str, networks: tuple[Any, ...]) -> bool:
    try:
        found = ip_address(address)
    except ValueError:
        return False
    # A listener for both protocols shows IPv4 in the form of IPv6.
    found = getattr(found, "ipv4_mapped", None) or found
    return any(found in network for network in networks)
