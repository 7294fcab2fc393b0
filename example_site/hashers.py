"""Hashes passwords in a native thread: it computes for half a second, and others go on.

Django's own hashers compute in the hub's thread, where all requests of the process wait for it.
"""

from __future__ import annotations

from django.contrib.auth.hashers import PBKDF2PasswordHasher

from concurrency import offload

__all__ = ["OffloadedHasher"]


class OffloadedHasher(PBKDF2PasswordHasher):
    """Django's own hasher, with the same hashes, off the hub."""

    def encode(self, password: str, salt: str, iterations: int | None = None) -> str:
        """Return the hash of a password, as Django stores it."""
        encoded: str = offload(super().encode, password, salt, iterations)
        return encoded
