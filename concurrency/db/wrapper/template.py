"""The pool that a wrapper takes its connections from, and how the pool opens them.

A pool opens its connections through a wrapper of its own, the template, which keeps the
settings that the database had at the time. Does not depend on leases.
"""

from __future__ import annotations

from collections.abc import Callable
from operator import itemgetter
from typing import Any, final

from django.db import DEFAULT_DB_ALIAS
from django.db.backends.base.base import NO_DB_ALIAS, BaseDatabaseWrapper

from concurrency.db.drivers.driver import Driver
from concurrency.db.pool import registry
from concurrency.db.pool.options import PoolOptions, is_ours
from concurrency.db.pool.pool import Pool
from concurrency.db.wrapper import lifecycle
from concurrency.patching.lateness import is_patched

# Runs at each lease, so it is implemented in C.
_FINGERPRINT: Callable[[Any], tuple[Any, ...]] = itemgetter(
    "NAME", "USER", "HOST", "PORT", "OPTIONS"
)


class _OfTemplate(str):
    """The alias of a wrapper that opens connections for a pool and leases none itself."""

    __slots__ = ()


class HasPool(BaseDatabaseWrapper):  # type: ignore[misc]
    """Part of a pooled wrapper: finds its pool, and serves as the template of one."""

    driver: Driver
    settings_dict: dict[str, Any]

    def __init__(self, settings_dict: dict[str, Any], alias: str = DEFAULT_DB_ALIAS) -> None:
        super().__init__(settings_dict, alias)
        self.is_template = isinstance(alias, _OfTemplate)
        self._may_use_pool = not self.is_template and alias != NO_DB_ALIAS and is_patched()

    @property
    def uses_pool(self) -> bool:
        """Whether connections are leased."""
        return self._may_use_pool and self.has_pool()

    def has_pool(self) -> bool:
        """Return whether the settings enable a pool; ``OPTIONS["pool"] = False`` disables it."""
        return self.settings_dict["OPTIONS"].get("pool") is not False

    def _pool(self) -> Pool:
        """Return the pool of this database; create it on the first call."""
        pool = registry.pools.get(self.alias) or registry.pool_for(self.alias, self._make_pool)
        if pool.fingerprint != _FINGERPRINT(self.settings_dict):
            # Another database under the same alias, as when test databases are created.
            registry.forget(self.alias)
            pool = registry.pool_for(self.alias, self._make_pool)
        return pool

    def _make_pool(self) -> Pool:
        lifecycle.register()  # a project can use the backend without the app
        template = type(self)(self.settings_dict.copy(), _OfTemplate(self.alias))
        return Pool(self.alias, self.pool_options(), self.driver, template)

    def pool_options(self) -> PoolOptions:
        """Return the options of this database's pool.

        Raises:
            ImproperlyConfigured: an option is unknown or has a wrong value.
        """
        return PoolOptions.from_settings(self.settings_dict["OPTIONS"], alias=self.alias)

    @final
    def fingerprint(self) -> tuple[Any, ...]:
        """Return what two wrappers must have in common to share connections."""
        return _FINGERPRINT(self.settings_dict)

    def open_raw(self) -> Any:
        """Open a connection for the pool; called on a pool's template only."""
        return self.get_new_connection(self.get_connection_params())

    def get_connection_params(self) -> dict[str, Any]:
        """Return Django's parameters, without the options of the pool."""
        given = self.settings_dict
        options = {key: value for key, value in given["OPTIONS"].items() if not is_ours(key)}
        self.settings_dict = {**given, "OPTIONS": options}
        try:
            return super().get_connection_params()  # type: ignore[no-any-return]
        finally:
            self.settings_dict = given

    # The pool of Django, which this one replaces

    @property
    def pool(self) -> None:
        """None: Django's own pool is not used."""
        return

    def close_pool(self) -> None:
        """Close the idle connections of this database under all its aliases.

        Django calls it before it drops or copies a test database, which a mirror uses too.
        """
        if self.uses_pool:
            registry.forget(self.alias)
            registry.forget_database(self.settings_dict["NAME"])
