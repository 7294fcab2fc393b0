"""MariaDB freezes or restarts: the hub turns, and the pool goes on."""

from __future__ import annotations

from contextlib import contextmanager

import gevent
import pytest
from django.db import OperationalError

from concurrency import map_each
from tests.concurrency.db.conftest import query, statistics
from tests.helpers import until

pytestmark = pytest.mark.targets("mariadb")


@contextmanager
def frozen(server):
    server.freeze()
    try:
        yield
    finally:
        server.thaw()


@pytest.mark.slow
def test_a_frozen_server_does_not_freeze_the_hub(pool, target, mariadb, observer):
    """Killed greenlets end within the budget, others run; later the statements are stopped."""
    pool(max_size=4)
    victims = [gevent.spawn(query, target.sleep(30)) for _ in range(4)]
    until(lambda: observer.running("sleep") == 4, "running")
    turns = 0

    def turn():
        nonlocal turns
        while True:
            gevent.sleep(0.01)
            turns += 1

    with frozen(mariadb):
        turning = gevent.spawn(turn)
        gevent.killall(victims, timeout=10)
        turning.kill()
        assert all(victim.dead for victim in victims)
        assert turns > 50
        assert statistics().in_use == 0
    until(lambda: observer.running("sleep") == 0, "stopped")
    until(lambda: statistics().discarding == 0 and observer.controls() == 0, "confirmed")
    assert map_each(lambda _: query(), range(8), limit=None) == [1] * 8
    assert observer.sessions() <= 4


@pytest.mark.slow
@pytest.mark.timeout(60)
def test_a_restarted_server_is_used_at_once(pool, target, mariadb):
    """Who was in the middle gets Django's error; nobody else notices."""
    pool(max_size=4)
    map_each(lambda _: query(target.sleep(0.02)), range(4), limit=4)
    cut = gevent.spawn(query, target.sleep(30))
    until(lambda: statistics().in_use == 1, "executing")
    mariadb.stop()
    with pytest.raises(OperationalError):
        cut.get()
    with pytest.raises(OperationalError):
        query()
    mariadb.start()
    assert map_each(lambda _: query(), range(8), limit=None) == [1] * 8
