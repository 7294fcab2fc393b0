"""Hooks for ``gunicorn.conf.py``::

    from concurrency.server.hooks import *

Each is short and delegates to another module. A configuration may take only some of them;
it then works without the functions of the others.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, ParamSpec

from concurrency.server import folder
from concurrency.server.arbiter.service import Service
from concurrency.server.configuration import refuse_http2
from concurrency.server.worker import debugging, forking
from concurrency.server.worker.preparing import finish, prepare
from concurrency.server.worker.reporting import Report
from concurrency.server.worker.state import state_of
from concurrency.server.worker.wrapping import wrap

__all__ = [
    "child_exit",
    "nworkers_changed",
    "on_exit",
    "on_reload",
    "on_starting",
    "post_fork",
    "post_request",
    "post_worker_init",
    "pre_exec",
    "pre_fork",
    "pre_request",
    "when_ready",
    "worker_exit",
]

_service: Service | None = None

# Whether `manage.py serve` runs them beside those of the project's own `gunicorn.conf.py`.
# Then a file that calls them itself must not run them a second time.
run_by_serve = False

_Parameters = ParamSpec("_Parameters")


def _hook(function: Callable[_Parameters, None]) -> Callable[_Parameters, None]:
    """Make a hook do nothing if `serve` already runs it."""

    @wraps(function)
    def called(*args: _Parameters.args, **kwargs: _Parameters.kwargs) -> None:
        if not run_by_serve:
            function(*args, **kwargs)

    return called


@_hook
def on_starting(server: Any) -> None:
    """Start the ops process, and run the steps before the port opens."""
    global _service
    refuse_http2(server.cfg)
    _service = Service(server)
    _service.prepare()


@_hook
def when_ready(server: Any) -> None:
    """Report that the port is open."""
    if _service is not None:
        _service.opened(server)


@_hook
def on_reload(server: Any) -> None:
    """Load the new code in the ops process too."""
    if _service is not None:
        _service.reloaded(server)


@_hook
def nworkers_changed(server: Any, new_value: int, old_value: int | None) -> None:
    """Record the number of workers that should run."""
    if _service is not None:
        _service.board.say(wanted=new_value)


@_hook
def pre_exec(server: Any) -> None:
    """Pass the ops port on to the arbiter that SIGUSR2 starts."""
    if _service is not None:
        _service.pass_on(server)


@_hook
def pre_fork(server: Any, worker: Any) -> None:
    """Give the worker that is about to be forked its row of the board."""
    if _service is not None:
        state_of(worker).row = _service.row()
        forking.announce(server.log)
    forking.expect()


@_hook
def post_fork(server: Any, worker: Any) -> None:
    """Start to report as a worker, and close what belongs to the arbiter."""
    state = state_of(worker)
    if _service is not None and state.row is not None:
        _service.in_worker()
        state.row.claim(worker.pid)
        state.report = Report(worker, state.row, _service.options, collects=_service.collects)


@_hook
def child_exit(server: Any, worker: Any) -> None:
    """Free the row of a worker that has ended."""
    row = state_of(worker).row
    if _service is not None and row is not None:
        _service.ended(row)


@_hook
def on_exit(server: Any) -> None:
    """End the ops process, the last process of the service."""
    if _service is not None:
        _service.end()


@_hook
def pre_request(worker: Any, req: Any) -> None:
    """Count a request that begins, and mark its connection as busy."""
    state = state_of(worker)
    if state.report is not None:
        state.report.began(req)
    # Our own worker knows its connections; gunicorn's does not tell which are idle.
    if not state.speaks_http:
        state.drain.is_busy(req.unreader.sock)


@_hook
def post_request(worker: Any, req: Any, environ: dict[str, Any], resp: Any) -> None:
    """Count a request that has ended, and mark its connection as idle."""
    state = state_of(worker)
    if state.report is not None:
        state.report.ended(req, environ, resp)
    if not state.speaks_http:
        # What is in the environment is a handle of it, for the application.
        state.drain.is_idle(req.unreader.sock)
        if state.drain.begun is not None:
            state.drain.close_idle()


@_hook
def post_worker_init(worker: Any) -> None:
    """Prepare a worker that has loaded the application."""
    if _service is not None:
        worker.wsgi = wrap(worker.wsgi, _service.options)
        debugging.listen(_service.options)
    prepare(worker)
    report = state_of(worker).report
    if report is not None:
        report.start()


@_hook
def worker_exit(server: Any, worker: Any) -> None:
    """Wait for greenlets of ``spawn`` that outlived their requests, then end them.

    gunicorn has already waited for the requests; greenlets that outlive them get the rest
    of the graceful timeout.
    """
    if state_of(worker).gate is not None:
        finish(worker)
    folder.leave()
