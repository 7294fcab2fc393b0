"""Turns: one at a time, in order, and none is lost."""

from __future__ import annotations

import gevent
import pytest

from concurrency import offload
from concurrency.db.drivers.sqlite.turns import Turn, Turns


def test_the_turn_goes_round_in_order():
    """Each holder gives it to who has waited longest."""
    turns, order = Turns(), []

    def take(name: int) -> None:
        turn = Turn(turns)
        assert turn.take(5)
        order.append(name)
        gevent.sleep(0)
        turn.give_on()

    gevent.joinall([gevent.spawn(take, x) for x in range(20)], raise_error=True)
    assert order == list(range(20))
    assert not turns.is_taken


def test_a_turn_that_is_held_is_not_waited_for():
    """Taking twice is taking once, and so is giving on."""
    turns = Turns()
    turn = Turn(turns)
    assert turn.take(0)
    assert turn.take(0)
    turn.give_on()
    turn.give_on()
    assert Turn(turns).take(0)


def test_who_leaves_the_queue_is_passed_over():
    """A place that was given up, by time or by a kill, holds nobody up."""
    turns = Turns()
    holder = Turn(turns)
    holder.take(0)
    assert not Turn(turns).take(0.001)
    killed = gevent.spawn(Turn(turns).take, 5)
    waiting = gevent.spawn(Turn(turns).take, 5)
    gevent.sleep(0)
    killed.kill()
    assert turns.waiting == 1
    holder.give_on()
    waiting.join(5)
    assert waiting.value is True


def test_a_turn_that_is_given_to_who_is_being_killed_goes_on():
    """It is not lost between the two."""
    turns = Turns()
    holder = Turn(turns)
    holder.take(0)
    killed = gevent.spawn(Turn(turns).take, 5)
    waiting = gevent.spawn(Turn(turns).take, 5)
    gevent.sleep(0)
    killed.kill(block=False)
    holder.give_on()
    waiting.join(5)
    assert waiting.value is True


@pytest.mark.parametrize("where", ["here", "thread"])
def test_a_turn_comes_from_any_thread(where):
    """Whoever has it may be in another thread than who waits for it."""
    turns = Turns()
    holder = Turn(turns)
    holder.take(0)
    waiting = gevent.spawn(Turn(turns).take, 5)
    gevent.sleep(0)
    if where == "here":
        holder.give_on()
    else:
        offload(holder.give_on)
    waiting.join(5)
    assert waiting.value is True


def test_how_things_stand_is_readable():
    """Who is told that it took too long is told by whom it was held up."""
    turns = Turns()
    assert turns.describe() == "nobody has the turn"
    Turn(turns).take(0)
    assert turns.describe() == "the turn is taken for 0.0 s, 0 others wait for it"
