"""The arbiter's part of a service: its folder, its board, its ops process, its preparation.

There is one for each arbiter. Workers inherit it by fork, and close what is not theirs.
"""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any, NoReturn

from concurrency.hub.periodic import Periodic
from concurrency.observe import metrics
from concurrency.server import django_settings, extras, folder, worker_class
from concurrency.server.arbiter import start_commands, survey, taken
from concurrency.server.arbiter.banner import screen
from concurrency.server.arbiter.ops_supervisor import Keeper
from concurrency.server.board import FAILED, STARTED, Board, Row
from concurrency.server.configuration import collect_metrics, effective, private_folder
from concurrency.server.option_sources import current, identity
from concurrency.server.options import PROBES, OptionError, ServeOptions
from concurrency.server.record import Record

__all__ = ["Service"]


class Service:
    """The state shared by all workers of one arbiter.

    Args:
        server: gunicorn's arbiter.

    Attributes:
        options: the options of its start or last reload.
        board: the board on which its workers report.
    """

    def __init__(self, server: Any) -> None:
        self._survey = survey.take()
        django_settings.note(getattr(server.app, "app_uri", None))
        self.options = _options(server)
        if line := taken.refuse(server):
            _refuse(line)
        private_folder()
        self.board = Board()
        self._upkeep = Periodic("the upkeep of the service's folder", folder.UPKEEP, self._restore)
        self._upkeep.start()
        self.board.say(note="starts", wanted=server.num_workers)
        self._keeper: Keeper | None = None if self.options.no_ops else self._keep(server)
        self._record()

    def __repr__(self) -> str:
        return f"<Service {self.board!r}, {self._keeper!r}>"

    def _keep(self, server: Any) -> Keeper:
        address = self.options.ops_address
        try:
            keeper = Keeper(self.options, address, self.board.descriptor, server)
        except OSError as error:
            remedy = "--ops-port or CONCURRENCY_OPS_PORT, or none by --no-ops"
            _refuse(taken.complaint("ops port", address, error, remedy))
        keeper.start()
        return keeper

    def _record(self) -> None:
        """Let commands of this user find the service."""
        options, place = self.options, folder.own()
        record = Record(
            pid=os.getpid(),
            project=identity(),
            application=0 if options.bind.startswith("unix:") else options.port,
            ops=None if options.no_ops else options.ops_address,
            paths={kind: getattr(options, f"{kind}_path") for kind in PROBES},
        )
        if place is not None:
            with suppress(OSError):  # a service without a record still serves
                record.write(place)

    def prepare(self) -> None:
        """Run the steps before the port opens; end the process if one fails."""
        try:
            start_commands.run(self.options, lambda note: self.board.say(note=note))
        except start_commands.StepError as error:
            sys.stderr.write(f"gunicorn: {error}.\n")
            self.board.say(phase=FAILED, note=str(error))
            self.end()
            sys.exit(error.code)

    def opened(self, server: Any) -> None:
        """Report that the port is open; after `serve`, with the start screen."""
        self.board.say(phase=STARTED, note="")
        # Python has no sys.stdout where descriptor 1 was closed; the disk behind it may be full.
        if self._survey is not None and sys.stdout is not None:
            with suppress(OSError):
                sys.stdout.write(screen(server, self.options, self._survey))
                sys.stdout.flush()

    def reloaded(self, server: Any) -> None:
        """Take new options, and let a new ops process load the new code."""
        self.options = _options(server)
        self.board.say(wanted=server.num_workers)
        self._record()
        if self._keeper is not None:
            self._keeper.replace(self.options)

    def _restore(self) -> None:
        """Create the folder again, if a cleanup job has removed it."""
        if folder.restore():
            self._record()
        if self.collects:
            metrics.restore()

    def row(self) -> Row:
        """Return a row for a worker that is about to be forked."""
        with suppress(OSError):  # it counts in memory until files can be written
            self._restore()
        if self._keeper is not None:
            self._keeper.settle()
        row = self.board.row()
        row.claim(-1)
        return row

    def ended(self, row: Row) -> None:
        """Free the row of a worker that has ended, and remove its live gauges."""
        if self.collects:
            with suppress(OSError):  # a cleaner was faster
                metrics.forget(str(row.number))
        row.release()

    @property
    def collects(self) -> bool:
        """Whether there are metrics."""
        return metrics.FOLDER in os.environ and metrics.is_installed()

    def in_worker(self) -> None:
        """Close what belongs to the arbiter; called in a worker."""
        self._upkeep.stop()
        if self._keeper is not None:
            self._keeper.forget()

    def pass_on(self, server: Any) -> None:
        """Pass the ops port on to the arbiter that SIGUSR2 is about to execute."""
        if self._keeper is not None:
            self._keeper.pass_on(server.cfg.env_orig)
        if Path(sys.argv[0]).name == "__main__.py":
            # Started as `python -m gunicorn`; as a script it would import its own `http`
            # in place of Python's.
            server.START_CTX["args"] = [sys.executable, "-m", "gunicorn", *sys.argv[1:]]

    def end(self) -> None:
        """End the ops process and remove the folder."""
        self._upkeep.stop()
        if self._keeper is not None:
            self._keeper.stop()
        folder.remove()


def _options(server: Any) -> ServeOptions:
    """Return the effective options of this arbiter; end the process if they cannot work."""
    complaint = worker_class.problem(server.worker_class)
    if complaint:
        _refuse(f'{complaint}. In gunicorn.conf.py write: worker_class = "{worker_class.DEFAULT}"')
    try:
        options = current()
    except OptionError as error:
        _refuse(str(error))
    if lines := extras.missing(options):
        _refuse("; ".join(lines))
    collect_metrics(options)
    options = effective(options, server.cfg, server.LISTENERS)
    if not options.no_ops and options.ops_address[1] > 65535:
        _refuse(
            f"{options.ops_address[1]} is no port; choose one by --ops-port or CONCURRENCY_OPS_PORT"
        )
    return options


def _refuse(line: str) -> NoReturn:
    folder.remove()
    sys.exit(f"gunicorn: {line}")
