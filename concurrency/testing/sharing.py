"""Greenlets of a test share the connection that its transaction is on, in turns.

Django's ``TestCase``, and pytest-django's ``django_db``, keep a test in a
transaction that is rolled back. A greenlet with a connection of its own would see
none of the test's rows. While sharing is on, the wrapper of such a greenlet is
given a class that borrows the test's connection instead of leasing one, and the
test's own wrapper one that lets it wait for its turn.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from concurrency.compat.django import is_of_test_case
from concurrency.db.wrapper import fan_out_in_atomic, wrapper
from concurrency.testing.cursors import change_class, restore_class
from concurrency.testing.savepoints import SharedConnection
from concurrency.testing.wrappers import Borrower, Lender

_depth = 0


@contextmanager
def shared_connections() -> Iterator[None]:
    """Let greenlets share the connection of a test that runs in a transaction.

    For the block. It has no effect on a test without a transaction of its own, as
    ``TransactionTestCase``: greenlets lease connections there as they always do.
    """
    global _depth
    _depth += 1
    wrapper.before_connect = _offer
    try:
        yield
    finally:
        _depth -= 1
        if not _depth:
            wrapper.before_connect = None


class SharedConnectionsMixin:
    """Mixin for a ``TestCase``, to be named before it: ``shared_connections`` for its tests."""

    @classmethod
    def setUpClass(cls) -> None:
        """Share from before the class's data are made until after its last test."""
        base: Any = super()
        unittest_case: Any = cls
        unittest_case.enterClassContext(shared_connections())
        base.setUpClass()


def _offer(borrower: Any) -> None:
    """Let a wrapper that is about to connect borrow the connection of a test, if there is one."""
    if isinstance(borrower, Borrower):
        restore_class(borrower)  # its last attempt has failed
    for lender in fan_out_in_atomic.users_of(borrower.alias):
        if lender is not borrower and _is_in_test_case(lender):
            if not isinstance(lender, Lender):
                change_class(lender, Lender)
                lender.sharing = SharedConnection(lender)
            change_class(borrower, Borrower)
            borrower.sharing = lender.sharing
            return


def _is_in_test_case(lender: Any) -> bool:
    blocks = lender.atomic_blocks
    return lender.connection is not None and bool(blocks) and is_of_test_case(blocks[0])
