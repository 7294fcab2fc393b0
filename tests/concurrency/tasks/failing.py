"""Functions for tasks: one that fails, one that never ends."""

from __future__ import annotations

from gevent.event import Event


class Boom(Exception):
    """What failing tasks of these tests raise."""


def fail(message="boom"):
    raise Boom(message)


def for_ever():
    Event().wait()
