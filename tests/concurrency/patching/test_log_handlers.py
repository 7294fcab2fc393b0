"""Log handlers that greenlets and native threads share."""

from __future__ import annotations

import logging
import logging.handlers
import queue
import socket
from collections.abc import Iterator
from pathlib import Path

import gevent
import pytest

from concurrency import TaskGroup, offload
from tests.helpers import until

RECORDS = 13 * 20


@pytest.fixture
def logger() -> Iterator[logging.Logger]:
    """Return a logger whose handlers are closed in the end."""
    logger = logging.getLogger("tests.shared")
    logger.propagate, logger.level = False, logging.INFO
    yield logger
    for handler in list(logger.handlers):
        logger.removeHandler(handler)
        handler.close()


def log_from_everywhere(logger: logging.Logger) -> None:
    """Log from greenlets and native threads at the same time."""

    def work() -> None:
        for number in range(20):
            logger.info("record %s %s", number, "x" * 2000)
            gevent.sleep()

    with gevent.Timeout(15), TaskGroup() as group:
        for _ in range(8):
            group.spawn(work)
        for _ in range(5):
            group.spawn(offload, work)


@pytest.mark.parametrize("rotating", [False, True])
def test_files_get_every_record(logger: logging.Logger, tmp_path: Path, rotating: bool):
    """Also while they are rotated."""
    path = tmp_path / "log"
    logger.addHandler(
        logging.handlers.RotatingFileHandler(path, maxBytes=50_000, backupCount=99)
        if rotating
        else logging.FileHandler(path)
    )
    log_from_everywhere(logger)
    lines = [line for file in tmp_path.iterdir() for line in file.read_text().splitlines()]
    assert len(lines) == RECORDS
    assert all(line.startswith("record") and line.endswith("x" * 2000) for line in lines)


@pytest.mark.parametrize("make", [queue.Queue, queue.LifoQueue])
def test_queues_get_every_record(logger: logging.Logger, make: type[queue.Queue]):
    """Also with a listener, whose thread is a greenlet."""
    got: list[logging.LogRecord] = []

    class Keeps(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            gevent.sleep()
            got.append(record)

    records = make()
    logger.addHandler(logging.handlers.QueueHandler(records))
    listener = logging.handlers.QueueListener(records, Keeps())
    listener.start()
    log_from_everywhere(logger)
    until(lambda: len(got) == RECORDS, "all have come")
    listener.stop()


def test_syslog_over_tcp_gets_every_record(logger: logging.Logger):
    """Its emit waits cooperatively while the other end does not read."""
    received = bytearray()
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            connection, _ = server.accept()
            with connection:
                while data := connection.recv(4096):
                    received.extend(data)
                    gevent.idle()

        reader = gevent.spawn(serve)
        handler = logging.handlers.SysLogHandler(server.getsockname(), socktype=socket.SOCK_STREAM)
        handler.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        logger.addHandler(handler)
        log_from_everywhere(logger)
        handler.close()
        reader.join(15)
    assert received.count(b"record") == RECORDS
