"""Passwords are hashed while other greenlets go on."""

from __future__ import annotations

import gevent
from django.contrib.auth.hashers import PBKDF2PasswordHasher, check_password
from django.test import override_settings

from example_site.hashers import OffloadedHasher

ITERATIONS = 50_000


def test_others_go_on_while_a_password_is_hashed() -> None:
    """A greenlet that comes after one that hashes is done before it."""
    done = []

    def sign_in() -> None:
        OffloadedHasher().encode("secret", "salt", ITERATIONS)
        done.append("hashed")

    gevent.joinall(
        [gevent.spawn(sign_in), gevent.spawn(done.append, "another")], raise_error=True, timeout=10
    )
    assert done == ["another", "hashed"]


def test_hashes_are_those_of_django() -> None:
    """What Django has hashed is known here, and the other way round."""
    here = OffloadedHasher().encode("secret", "salt", ITERATIONS)
    assert here == PBKDF2PasswordHasher().encode("secret", "salt", ITERATIONS)
    with override_settings(PASSWORD_HASHERS=["example_site.hashers.OffloadedHasher"]):
        assert check_password("secret", here, preferred="default")
        assert not check_password("wrong", here)
