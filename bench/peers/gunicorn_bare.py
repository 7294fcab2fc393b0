"""gunicorn's configuration of peers that need none; without it, it takes the example's."""

from __future__ import annotations

control_socket_disable = True
