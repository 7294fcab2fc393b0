"""The options of `manage.py serve`: one table, and which values an option may have.

Where values come from is the matter of ``sources.py``. Knows nothing of gunicorn; importing
it imports neither Django nor gevent.
"""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from ipaddress import ip_network
from typing import Any, get_type_hints

from concurrency.values import problem_of_number, problem_of_truth

__all__ = ["KINDS", "PROBES", "TABLE", "OptionError", "ServeOptions", "build", "problem"]


class OptionError(ValueError):
    """An option has a value that it cannot have; the message is one line."""


def _option(
    default: Any, text: str, *, least: float = 0, also: str = "", secret: bool = False
) -> Any:
    """Describe one option.

    Args:
        default: its value where nobody gives another.
        text: its help.
        least: the least that a number may be.
        also: another variable that is read where its own is not set.
        secret: whether it is kept from the command line, which others can read.
    """
    metadata = {"help": text, "least": least, "also": also, "secret": secret}
    return field(default=default, metadata=metadata, repr=not secret)


@dataclass(frozen=True, slots=True, kw_only=True)
class ServeOptions:
    """Every option of `manage.py serve`, with its default; times are in seconds."""

    bind: str = _option("127.0.0.1", "address, address:port, unix:PATH or fd://NUMBER")
    port: int = _option(8000, "port of the application", also="PORT")
    workers: int = _option(0, "worker processes; 0: one for each core", also="WEB_CONCURRENCY")
    worker_class: str = _option("concurrency.server.GeventWorker", "gunicorn's worker class")
    worker_connections: int = _option(1000, "sockets that a worker holds open", least=1)
    timeout: int = _option(30, "seconds without a turn of the hub after which it is killed")
    graceful_timeout: int = _option(30, "seconds that requests get to end", least=1)
    drain_delay: float = _option(0.0, "seconds to serve on, unready, after SIGTERM")
    max_requests: int = _option(0, "requests after which a worker is replaced; 0: never")
    max_requests_jitter: int = _option(-1, "at most so many more, by chance; -1: a tenth")
    max_memory: int = _option(0, "MiB after which a worker is replaced; 0: never")
    max_body_size: int = _option(100 * 1024 * 1024, "bytes of a request's body; 0: no limit")
    spool_dir: str = _option(
        "", "folder of bodies that are too large for memory; empty: the system's temporary folder"
    )
    max_spooled: int = _option(
        4 * 1024 * 1024 * 1024, "bytes of bodies in files, for each worker; 0: no limit"
    )
    min_rate: int = _option(
        500, "bytes per second that a client must send or take, averaged over 30 s; 0: any rate"
    )
    max_unsent: int = _option(
        256 * 1024 * 1024,
        "bytes of answers that wait for slow clients, for each worker; beyond, the one that has "
        "taken longest is dropped; 0: no limit",
    )
    forwarded_allow_ips: str = _option(
        "127.0.0.1,::1", "proxies whose X-Forwarded-* are believed, by commas; *: all"
    )
    ops_bind: str = _option("127.0.0.1", "address of the ops port")
    ops_port: int = _option(0, "port of probes and metrics; 0: port + 1000")
    ops_hosts: tuple[str, ...] = _option(
        (),
        "name of the ops port besides its addresses and the host name; may be repeated",
    )
    startup_path: str = _option("/startup", "path of the startup probe")
    alive_path: str = _option("/alive", "path of the liveness probe")
    ready_path: str = _option("/ready", "path of the readiness probe")
    metrics_path: str = _option("/metrics", "path of the metrics")
    no_ops: bool = _option(False, "no ops port at all")
    no_metrics: bool = _option(False, "no metrics")
    log_probes: bool = _option(False, "log each request to the ops port")
    ready_max_lag: float = _option(1.0, "not ready when the hubs are so late, in seconds")
    ready_max_waiters: int = _option(
        100, "not ready when so many wait for a connection, for each worker", least=1
    )
    ready_max_in_flight: int = _option(
        500, "not ready with so many requests in flight, for each worker", least=1
    )
    ready_max_stall: float = _option(
        5.0, "not ready when a worker's line of requests has not moved for this many seconds"
    )
    command: tuple[str, ...] = _option(
        (), "management command to run before the port opens; may be repeated"
    )
    wait_for_migrations: bool = _option(False, "open the port when nothing is left to migrate")
    apply_migrations: bool = _option(False, "migrate every database before the port opens")
    migrations_timeout: float = _option(300.0, "seconds that migrations may take or be waited for")
    static: bool = _option(False, "serve STATIC_URL")
    media: bool = _option(False, "serve MEDIA_URL; for development")
    reload: bool = _option(False, "restart when a file changes; for development")
    static_watch: tuple[str, ...] = _option(
        (), "folder whose changes run collectstatic; may be repeated, needs --reload"
    )
    debugger: bool = _option(False, "listen for a debugger (debugpy) on 127.0.0.1; one worker")
    debugger_port: int = _option(5678, "port of the debugger", least=1)
    webhook_url: str = _option("", "where changes of state are posted")
    webhook_secret: str = _option("", "key of the webhooks' signatures", secret=True)
    service_version: str = _option("", "version of the service, for webhooks")

    @property
    def ops_address(self) -> tuple[str, int]:
        """Address and port of the ops port."""
        _, colon, port = self.address.rpartition(":")
        own = int(port) if colon and port.isdecimal() else self.port
        return self.ops_bind, self.ops_port or own + 1000

    @property
    def worker_count(self) -> int:
        """How many workers there are, at first."""
        return 1 if self.debugger else self.workers or os.cpu_count() or 1

    @property
    def address(self) -> str:
        """The application's address, as gunicorn writes it."""
        if self.bind.startswith(("unix:", "fd://")):
            return self.bind
        if self.bind.startswith("["):
            return self.bind if "]:" in self.bind else f"{self.bind}:{self.port}"
        if self.bind.count(":") == 1:
            return self.bind
        host = f"[{self.bind}]" if ":" in self.bind else self.bind
        return f"{host}:{self.port}"

    @property
    def jitter(self) -> int:
        """How many requests more a worker may get, so that not all are replaced at once."""
        return self.max_requests // 10 if self.max_requests_jitter < 0 else self.max_requests_jitter


#: The kinds of probes; each has its path.
PROBES = ("startup", "alive", "ready")

# The types of the options and their descriptions, by name.
KINDS = get_type_hints(ServeOptions)
TABLE = {found.name: found for found in fields(ServeOptions)}


def build(values: Mapping[str, Any]) -> ServeOptions:
    """Return the options with these values, if they go together."""
    options = ServeOptions(**values)
    if options.reload and options.debugger:
        raise OptionError("--reload and --debugger do not go together: a restart ends the debugger")
    if options.debugger and options.workers > 1:
        raise OptionError("--debugger works with one worker, not with several")
    if options.static_watch and not options.reload:
        raise OptionError("--static-watch needs --reload, which is what watches")
    if not options.no_ops and options.ops_address[1] > 65535:
        raise OptionError(
            f"ops-port: {options.ops_address[1] - 1000} + 1000 is no port; choose one by "
            f"--ops-port or CONCURRENCY_OPS_PORT, or none by --no-ops"
        )
    return options


def problem(name: str, value: Any) -> str | None:
    """Return what is wrong with the value of an option, or None."""
    kind, least = KINDS[name], TABLE[name].metadata["least"]
    if kind is bool:
        return problem_of_truth(value)
    if kind is str:
        return _problem_of_text(name, value)
    if kind == tuple[str, ...]:
        good = isinstance(value, list | tuple) and all(isinstance(item, str) for item in value)
        return None if good else f"must be a list of strings, not {value!r}"
    noun, low = f"a {'whole ' * (kind is int)}number", least
    if name == "max_requests_jitter":
        low = -1
    if complaint := problem_of_number(value, noun=noun, whole=kind is int, least=low):
        return complaint
    if not math.isfinite(value):
        return f"must be at least {least}, not {value!r}"
    if name.endswith("port") and value > 65535:
        return f"must be at most 65535, not {value!r}"
    return None


def _problem_of_text(name: str, value: Any) -> str | None:
    if not isinstance(value, str):
        return f"must be a string, not {value!r}"
    if name.endswith("_path") and not value.startswith("/"):
        return f"must begin with a slash, not {value!r}"
    if name == "forwarded_allow_ips" and value != "*":
        return _problem_of_networks(value)
    if name == "spool_dir" and value and not os.access(value, os.W_OK | os.X_OK):
        return f"must be a folder in which files can be made, not {value!r}"
    if name == "webhook_url" and value and not value.startswith(("http://", "https://")):
        return "must be an address that begins with http:// or https://"
    return None


def _problem_of_networks(value: str) -> str | None:
    for part in value.split(","):
        try:
            ip_network(part.strip(), strict=False)
        except ValueError:
            return f"must be addresses and networks by commas, or *; not {part.strip()!r}"
    return None
