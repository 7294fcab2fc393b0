"""Compares this package with what a user could choose instead: `python -m bench.peers`.

Every peer serves the same site on the same database, with one process on one core; clients and
database have the others. The peers take turns, in rounds. A peer that is not installed is named
with the command that installs it. Exits with 1 when this package misses one of its limits, which
are printed at the end.
"""

from __future__ import annotations

import argparse
import math
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import psycopg

from bench import command
from bench.database import ConnectionCounter, database, named, scratch
from bench.facts import surroundings
from bench.peers import page, tables
from bench.peers.catalogue import PEERS
from bench.peers.measuring import Bench
from bench.peers.record import PACKAGES, Record
from bench.peers.results import Sample, figures, limits
from bench.peers.running import Cores, on, process, wait_for
from bench.peers.works import IDLE, SLEEP, WORKS
from deploy.cluster import free_port

__all__ = ["main"]

# The plain recipe opens one for each of 300 clients.
_CONNECTIONS = 500


def main(arguments: list[str] | None = None) -> int:
    """Measure, print and write; 1 when a limit is missed."""
    parser = _parser()
    options = parser.parse_args(arguments)
    if options.docs and (options.only, options.work) != (list(PEERS), list(WORKS)):
        parser.error("--docs needs all peers and works: the page compares them")
    record = options.read
    if record is None:
        record = measure(options.only, options.work, options.seconds, options.rounds)
    report(record)
    if options.json is not None:
        options.json.write_text(record.as_json(), encoding="utf-8")
        _say(f"wrote {options.json}")
    if options.docs:
        for path in page.write(record):
            _say(f"wrote {path}")
    return 0 if all(limit.kept for limit in limits(record.samples)) else 1


def measure(names: Sequence[str], works: Sequence[str], seconds: float, rounds: int) -> Record:
    """Let the peers take turns with each work, in rounds.

    Args:
        names: the peers.
        works: what they are asked for.
        seconds: how long each measurement takes.
        rounds: how often each is made.
    """
    measured = datetime.now(UTC).isoformat(timespec="seconds")
    missing = {name: remedy for name in names if (remedy := PEERS[name].missing)}
    for name, remedy in missing.items():
        _say(f"{PEERS[name].title} is not installed. Install it: {remedy}")
    cores = Cores.of_this_process()
    samples = []
    with _bench(cores, seconds) as (bench, version):
        about = surroundings(version, PACKAGES)
        for number in range(rounds):
            for work in works:
                if work == IDLE and number:
                    continue  # it hardly changes
                for name in names:
                    if name not in missing:
                        samples.append(bench.measure(PEERS[name], WORKS[work], number))
                        _progress(samples[-1], rounds)
    return Record(
        measured=measured,
        command=_command(names, works, seconds, rounds),
        seconds=seconds,
        rounds=rounds,
        cores={"server": sorted(cores.server), "others": sorted(cores.others)},
        database_pinned="DATABASE_URL" not in os.environ,
        surroundings=about,
        load_after=os.getloadavg()[0],
        samples=samples,
        missing=missing,
    )


def _command(names: Sequence[str], works: Sequence[str], seconds: float, rounds: int) -> str:
    """Return the command that measures the same, without where its results go."""
    words = ["python -m bench.peers", f"--seconds {seconds:g}", f"--rounds {rounds}"]
    if len(names) < len(PEERS):
        words.append(f"--only {','.join(names)}")
    if len(works) < len(WORKS):
        words.append(f"--work {','.join(works)}")
    return " ".join(words)


@contextmanager
def _bench(cores: Cores, seconds: float) -> Iterator[tuple[Bench, str]]:
    """Have a database with one row, and the slow service; give the version of the database too."""
    port = free_port()
    with (
        on(cores.others),
        database(_CONNECTIONS) as server,
        scratch(server, "bench_peers") as url,
        ConnectionCounter(url) as counter,
        process(["-m", "bench.peers.upstream", str(port), str(SLEEP)], {}, cores.others) as slow,
    ):
        wait_for(slow, port, "/", "slow")
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(
                "CREATE TABLE django_content_type (id serial PRIMARY KEY,"
                " app_label varchar(100), model varchar(100), UNIQUE (app_label, model))"
            )
            connection.execute(
                "INSERT INTO django_content_type (app_label, model) VALUES ('bench', 'lease')"
            )
        upstream = f"http://127.0.0.1:{port}/"
        yield Bench(named(url), counter, upstream, cores, seconds), counter.version()


def report(record: Record) -> None:
    """Print the tables."""
    found = figures(record.samples)
    for work in tables.works_of(found):
        _say(f"\n{WORKS[work].title}\n{tables.of_work(found, work)}")
    if kept := limits(record.samples):
        _say(f"\n{tables.of_limits(kept)}")
    for remark in tables.remarks(record):
        _say(remark)


def _progress(sample: Sample, rounds: int) -> None:
    text = (
        sample.problem.splitlines()[0] if sample.problem else f"{sample.rate or 0.0:.0f} per second"
    )
    if sample.idle_kb is not None:
        text = f"{sample.idle_kb:.1f} kB for each client"
    assert sample.round is not None  # noqa: S101 - it is one measurement
    _say(f"round {sample.round + 1} of {rounds}: {sample.work}, {sample.peer}: {text}")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench.peers", description=__doc__)
    add = parser.add_argument
    add(
        "--only",
        type=_some_of(PEERS),
        default=list(PEERS),
        metavar="PEER,...",
        help=", ".join(PEERS),
    )
    add(
        "--work",
        type=_some_of(WORKS),
        default=list(WORKS),
        metavar="NAME,...",
        help=", ".join(WORKS),
    )
    add("--seconds", type=_positive(float), default=5.0, help="how long each is measured (5)")
    add("--rounds", type=_positive(int), default=3, help="how often each is measured (3)")
    add("--json", type=_writable, metavar="FILE", help="write all figures there")
    add("--docs", action="store_true", help=f"write {page.PAGE.name} and {page.PICTURE.name}")
    add(
        "--read", type=_record, metavar="FILE", help="measure nothing, take what --json has written"
    )
    return parser


def _some_of(known: Iterable[str]) -> Callable[[str], list[str]]:
    """Return a reader of names that are separated by commas."""

    def read(text: str) -> list[str]:
        given = text.split(",")
        if unknown := [name for name in given if name not in known]:
            raise argparse.ArgumentTypeError(
                f"unknown: {', '.join(unknown)}; known are {', '.join(known)}"
            )
        return [name for name in known if name in given]

    return read


def _positive(kind: Callable[[str], float]) -> Callable[[str], float]:
    """Return a reader of numbers above zero."""

    def read(text: str) -> float:
        number = kind(text)
        if not 0 < number < math.inf:
            raise argparse.ArgumentTypeError(f"{text} is not above zero")
        return number

    read.__name__ = "number"  # argparse names it where it raises ValueError
    return read


def _writable(text: str) -> Path:
    """Return the path of a file that can be written, which is known before an hour is spent."""
    path = Path(text)
    try:
        path.open("a").close()
    except OSError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
    return path


def _record(text: str) -> Record:
    """Return what a file of `--json` holds."""
    try:
        return Record.from_json(Path(text).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise argparse.ArgumentTypeError(f"{text}: {error}") from error


def _say(line: str) -> None:
    print(line, flush=True)  # noqa: T201


if __name__ == "__main__":
    command.run(main)
