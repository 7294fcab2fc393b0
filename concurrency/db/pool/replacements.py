"""Replacements for options of Django's own pool, which come from psycopg_pool."""

from __future__ import annotations

CHECKED = "Remove it: the pool looks at each connection before it lends it."
_RETRIED = "Remove it: the pool connects again while somebody waits, for up to 'timeout' seconds."

#: Keys of OPTIONS["pool"] that Django's own pool passes to psycopg_pool.
_PSYCOPG_POOL = {
    "check": CHECKED,
    "close_returns": "Remove it: close() gives the connection back.",
    "configure": "Use the signal connection_created, or override init_connection_state().",
    "connection_class": "Remove it: greenlets need the class of this package.",
    "conninfo": "Remove it: the database's own settings say where it is.",
    "kwargs": "Write its items into OPTIONS.",
    "name": "Remove it: a pool is called by the alias of its database.",
    "num_workers": "Remove it: connections are opened at the same time, as many as are waited for.",
    "open": "Remove it: the pool opens with the first query.",
    "reconnect_failed": _RETRIED,
    "reconnect_timeout": _RETRIED,
}


def replacement_in_pool(name: str) -> str | None:
    """Return the remedy for an option of Django's own pool, None for any other name."""
    return _PSYCOPG_POOL.get(name)
