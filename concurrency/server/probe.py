"""Asks the ops port of this machine: `python -m concurrency.server.probe ready`.

For probes that execute a command. It loads no application, so that it takes a fraction
of a second; `manage.py probe` does the same with the settings.
"""

from __future__ import annotations

import http.client
import sys

from concurrency.server.option_sources import current
from concurrency.server.options import PROBES, OptionError, ServeOptions
from concurrency.server.record import find

__all__ = ["ask", "main", "own"]

_TIMEOUT = 5.0  # seconds


def own() -> ServeOptions:
    """Return the options of this project's service that runs on this machine.

    Raises:
        OptionError: one is wrong, or several services run; the message is one line.
    """
    try:
        return find(current())
    except LookupError as error:
        raise OptionError(str(error)) from None


def ask(kind: str, options: ServeOptions) -> tuple[bool, str]:
    """Return whether the probe is content, and what it says.

    Args:
        kind: "startup", "alive" or "ready".
        options: with the ops port and the probes' paths.
    """
    host, port = options.ops_address
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104
    connection = http.client.HTTPConnection(host, port, timeout=_TIMEOUT)
    try:
        connection.request("GET", getattr(options, f"{kind}_path"))
        answer = connection.getresponse()
        return answer.status == 200, answer.read().decode(errors="replace").strip()
    except (OSError, http.client.HTTPException) as error:
        return False, f"nobody answers on {host}:{port}: {type(error).__name__}"
    finally:
        connection.close()


def main(arguments: list[str]) -> int:
    """Print what a probe says; return 0 when it is content, else 1."""
    if len(arguments) != 1 or arguments[0] not in PROBES:
        sys.stderr.write(f"usage: python -m concurrency.server.probe {'|'.join(PROBES)}\n")
        return 2
    try:
        good, said = ask(arguments[0], own())
    except OptionError as error:
        good, said = False, str(error)
    sys.stdout.write(f"{said}\n")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
