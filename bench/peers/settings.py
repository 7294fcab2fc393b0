"""Django's settings of all peers; they differ in how they have their connections.

PEER_CONNECTIONS is ``ours``; ``django``: Django's own pool; ``geventpool``; ``kept``: one for each
thread, for ever; ``plain``: psycopg2, one for each request. PEER_POOL says how many there may be.
"""

from __future__ import annotations

import os
import sys
from typing import Any

CONNECTIONS = os.environ["PEER_CONNECTIONS"]
POOL = int(os.environ["PEER_POOL"])

if CONNECTIONS == "plain":
    # Where psycopg 3 is installed Django would use it, and psycogreen is for psycopg2.
    sys.modules["psycopg"] = None  # type: ignore[assignment]

from environ import Env

_STOCK = {"ENGINE": "django.db.backends.postgresql"}
_CHOICES: dict[str, dict[str, Any]] = {
    "ours": {
        "ENGINE": "concurrency.db.backends.postgresql",
        "OPTIONS": {"pool": {"max_size": POOL, "timeout": 5.0}},
    },
    "django": {**_STOCK, "OPTIONS": {"pool": {"max_size": POOL, "timeout": 30.0}}},
    "geventpool": {
        "ENGINE": "django_db_geventpool.backends.postgresql_psycopg3",
        "OPTIONS": {"MAX_CONNS": POOL, "REUSE_CONNS": POOL},
    },
    "kept": {**_STOCK, "CONN_MAX_AGE": None},
    "plain": _STOCK,
}
_database = Env.db_url_config(os.environ["DATABASE_URL"])
_chosen = _CHOICES[CONNECTIONS]
_options = {**_database.get("OPTIONS", {}), **_chosen.get("OPTIONS", {})}
DATABASES = {"default": {"CONN_MAX_AGE": 0, **_database, **_chosen, "OPTIONS": _options}}

ALLOWED_HOSTS = ["127.0.0.1", "localhost"]
INSTALLED_APPS = ["django.contrib.contenttypes"]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "django.middleware.common.CommonMiddleware",
]
ROOT_URLCONF = "bench.peers.site"
SECRET_KEY = "for measurements alone"  # noqa: S105 - it guards nothing
USE_TZ = True

if os.environ["PEER_WORLD"] == "ours":  # as the README has it, but for one thing
    INSTALLED_APPS += ["concurrency"]
    MIDDLEWARE = ["concurrency.middleware.ConcurrencyMiddleware", *MIDDLEWARE]
    # Clients without pause are an overload, of which it would turn a part away. No other peer does,
    # and a refusal is cheaper than a response: only those who answer everybody can be compared.
    CONCURRENCY = {"REQUEST_DEADLINE": 30.0, "SHED_AFTER": float("inf")}
