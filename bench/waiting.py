"""What greenlets cost that only wait for a statement: `python -m bench.waiting`.

A thousand greenlets in ``pg_sleep``, each on a connection of its own, in a process that
does nothing else: with this package, and with psycopg as it comes (Django's own backend
in a patched process). Exits non-zero when ours use a hundredth of a core or more.
"""

from __future__ import annotations

import concurrency.patch  # isort: skip  # noqa: F401

import argparse
import os
import subprocess
import sys
import time

import gevent
import psycopg

from bench import command
from bench.database import database, named
from bench.report import table

__all__ = ["cores_used", "main"]

LIMIT = 0.01
BEGIN_LIMIT = 60  # seconds until all statements run
_SLEEPING = "FROM pg_stat_activity WHERE application_name = %s AND wait_event = 'PgSleep'"
PEERS = {
    "concurrency": "concurrency.db.backends.postgresql",
    "psycopg as it comes": "django.db.backends.postgresql",
}


def cores_used(engine: str, url: str, greenlets: int, seconds: float) -> float:
    """Return the share of a core that this process uses while its greenlets wait.

    Args:
        engine: Django's ``ENGINE``.
        url: the address of the database.
        greenlets: how many of them wait.
        seconds: how long they are watched.
    """
    from django.conf import settings
    from django.db import connection
    from environ import Env

    name = f"waiting-{os.getpid()}"
    config = dict(Env.db_url_config(named(url, name)), ENGINE=engine)
    if engine == PEERS["concurrency"]:
        config["OPTIONS"]["pool"] = {"max_size": greenlets, "timeout": BEGIN_LIMIT}
    settings.configure(DATABASES={"default": config}, USE_TZ=True)

    def wait() -> None:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_sleep(%s)", [BEGIN_LIMIT + seconds])

    waiting = [gevent.spawn(wait) for _ in range(greenlets)]
    with psycopg.connect(url, autocommit=True) as observer:
        _until(observer, name, greenlets)
        start = time.process_time()
        gevent.sleep(seconds)
        used = time.process_time() - start
        gevent.killall(waiting, block=False)
        # A server goes on with statements whose client has gone.
        observer.execute(f"SELECT pg_terminate_backend(pid) {_SLEEPING}", [name])
        _until(observer, name, 0)
    return used / seconds


def _until(observer: psycopg.Connection, name: str, number: int) -> None:
    with gevent.Timeout(BEGIN_LIMIT):
        while observer.execute(f"SELECT count(*) {_SLEEPING}", [name]).fetchone() != (number,):
            gevent.sleep(0.1)


def main(arguments: list[str] | None = None) -> int:
    """Measure each in a process of its own and print the table; 1 when ours cost too much."""
    parser = argparse.ArgumentParser(prog="python -m bench.waiting", description=__doc__)
    parser.add_argument("--greenlets", type=int, default=1000, help="how many wait")
    parser.add_argument("--seconds", type=float, default=5.0, help="how long they are watched")
    options = parser.parse_args(arguments)
    with database(options.greenlets + 20) as url:
        cores = {
            peer: _in_a_process(engine, url, options.greenlets, options.seconds)
            for peer, engine in PEERS.items()
        }
    print(f"{options.greenlets} greenlets wait for {options.seconds:g} s")  # noqa: T201
    rows = [(peer, f"{value:.2%}") for peer, value in cores.items()]
    print(table(("with", "of a core"), rows))  # noqa: T201
    return 0 if cores["concurrency"] < LIMIT else 1


def _in_a_process(engine: str, url: str, greenlets: int, seconds: float) -> float:
    call = f"cores_used({engine!r}, os.environ['DATABASE_URL'], {greenlets}, {seconds})"
    code = f"from bench.waiting import *; import os; print({call}, flush=True); os._exit(0)"
    done = subprocess.run(  # noqa: S603 - our own module
        [sys.executable, "-c", code],
        env={**os.environ, "DATABASE_URL": url},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise RuntimeError(f"{engine}: {done.stderr[-2000:]}")
    return float(done.stdout)


if __name__ == "__main__":
    command.run(main)
