"""The keys with which services sign their calls to each other.

Owns which keys are good enough. What is signed with them is not known here.
"""

from __future__ import annotations

from typing import Final

from settings import environment

KEY: Final = "SERVICE_TOKEN_KEYS"
LEAST_LENGTH: Final = 32  # what HMAC with SHA-256 asks for, in bytes
MOST_KEYS: Final = 2


def keys() -> list[str]:
    """Return the keys: the first signs, and both are believed. There may be none.

    Raises:
        SettingsError: There are too many, or one is too short.
    """
    found = environment.names("SERVICE_TOKEN_KEYS")
    if len(found) > MOST_KEYS:
        raise environment.SettingsError(KEY, f"has {len(found)} keys, more than {MOST_KEYS}")
    if any(len(key) < LEAST_LENGTH for key in found):
        raise environment.SettingsError(KEY, f"has one shorter than {LEAST_LENGTH} characters")
    return found
