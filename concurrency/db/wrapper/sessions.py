"""Sets up the session of a leased connection for Django and its backends.

Django's own set-up is the same for each lease, so it runs once per connection. The set-up
of a backend that overrides it, and of receivers of ``connection_created``, can differ
from lease to lease, so it runs for each.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.db.backends.signals import connection_created

from concurrency.db.drivers import handles
from concurrency.db.pool import cleaning
from concurrency.db.pool.connection import PooledConnection
from concurrency.db.wrapper.lending import Leased
from concurrency.db.wrapper.overriding import SET_UP, overrides

#: What the set-up of one lease has changed, as in ``WatchedSession.recorded``.
Changed = set[str | None]


class SessionSetUp(Leased):
    """Part of a pooled wrapper: brings a leased session into the state that Django expects."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        kind: Any = type(self)
        self.sets_up_itself = overrides(kind, *SET_UP)
        self._checks_itself = overrides(kind, "is_usable")

    def _is_refused(self, pooled: PooledConnection) -> bool:
        """Return whether a backend's own ``is_usable()`` rejects a previously used connection."""
        was_used = pooled.configured and self.settings_dict["CONN_HEALTH_CHECKS"]
        return was_used and not self.is_usable()

    def _is_set_up(self, pooled: PooledConnection) -> bool:
        """Return whether this lease needs no set-up; valid for the wrapper's previous pool."""
        if self.leasing.kept or pooled.set_up or connection_created.receivers:
            return False
        return pooled.configured and self.is_session_ready()

    def _set_up(self, template: Any, pooled: PooledConnection, *, always: bool) -> bool:
        """Prepare wrapper and session for Django, where they are not ready yet.

        Args:
            template: the pool's template.
            pooled: the leased connection.
            always: whether to reset the session before the next holder in any case.

        Returns:
            False if the connection cannot be used: an earlier set-up has left a change
            that this one does not overwrite and that no reset undoes.
        """
        if self.leasing.kept or always:
            pooled.tainted = True
        self.adopt(template)
        changed = self._do_set_up(pooled)
        if not pooled.set_up <= changed or None in pooled.set_up:
            was_tainted = pooled.tainted
            pooled.must_be_reset()
            if not cleaning.make_clean(pooled):
                return False
            changed = self._do_set_up(pooled)
            pooled.tainted = was_tainted
        pooled.set_up = frozenset(changed)
        return True

    def _do_set_up(self, pooled: PooledConnection) -> Changed:
        """Set the session up; return what that has changed beyond Django's own set-up."""
        changed: Changed = set()
        if self.sets_up_itself or not pooled.configured or not self.is_session_ready():
            by_django = self._configure(pooled)
            if self.sets_up_itself:
                # The time zone depends on the session; Django sets it again when needed.
                changed = by_django - {self.ops.set_time_zone_sql()}
        else:
            self.autocommit = self.settings_dict["AUTOCOMMIT"]
        if connection_created.receivers:
            changed |= self._tell_receivers(pooled)
        return changed

    def _configure(self, pooled: PooledConnection) -> Changed:
        autocommit = self.settings_dict["AUTOCOMMIT"]
        with self._as_set_up(pooled) as changed:
            if self.session_autocommit() == autocommit and not self.sets_up_itself:
                self.autocommit = autocommit
            else:
                self.set_autocommit(autocommit)
            if pooled.configured and not self.sets_up_itself:
                self.refresh_session()
                return changed
            self.init_connection_state()
        pooled.configured = True
        pooled.attributes = self.driver.attributes(pooled.raw)
        pooled.references = pooled.references or handles.count(pooled.raw)
        return changed

    def _tell_receivers(self, pooled: PooledConnection) -> Changed:
        """Send ``connection_created``, for each lease: receivers can set something else."""
        with self._as_set_up(pooled) as changed:
            if connection_created.send(sender=self.__class__, connection=self):
                pooled.attributes = self.driver.attributes(pooled.raw)
        return changed

    @contextmanager
    def _as_set_up(self, pooled: PooledConnection) -> Iterator[Changed]:
        """Treat what the block does as set-up, which is repeated for each lease."""
        changed: Changed = set()
        raw, self.is_setting_up = pooled.raw, True
        before = raw.tainted, raw.is_beyond_reset
        raw.is_beyond_reset, raw.recorded = False, changed
        try:
            yield changed
        except BaseException:
            # The set-up may be half done, and the next one may differ.
            raw.is_beyond_reset |= before[1]
            pooled.must_be_reset()
            raise
        else:
            pooled.is_set_up_beyond_reset |= raw.is_beyond_reset
            raw.tainted, raw.is_beyond_reset = before
        finally:
            raw.recorded = None
            self.is_setting_up = False

    # Differences between backends

    def adopt(self, template: Any) -> None:
        """Take over what Django's ``get_new_connection`` sets on the wrapper."""

    def session_autocommit(self) -> bool | None:
        """Return whether the leased session is in autocommit, None if unknown."""
        return None

    def refresh_session(self) -> None:
        """Bring a session that is already set up in line with the settings."""

    def is_session_ready(self) -> bool:
        """Return whether a session that is already set up matches the settings."""
        return bool(self.session_autocommit() == self.settings_dict["AUTOCOMMIT"])

    def is_usable(self) -> bool:
        """Return whether the leased connection responds; False without a lease."""
        return self.connection is not None and bool(super().is_usable())
