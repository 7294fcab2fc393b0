"""What ends the work of a greenlet from outside.

An interruption is thrown into a greenlet where it waits, by a deadline, a client that has
disconnected, a task group of which a task has failed, or a coroutine that needs the result
no longer. gevent's own kill throws ``gevent.GreenletExit``.
"""

from __future__ import annotations

import gevent

__all__ = ["INTERRUPTIONS", "Interruption"]


class Interruption(BaseException):
    """Base of everything that this package throws into a greenlet to end its work.

    A ``BaseException``, so that no ``except Exception`` on the way takes it for an error
    of the work. Only the block or the call that has thrown it turns it into one.
    """


#: Ours and gevent's: what is thrown into a greenlet, and not raised by what it does.
INTERRUPTIONS = (Interruption, gevent.GreenletExit)
