"""The project's own `gunicorn.conf.py` beneath `manage.py serve`: read, completed, merged.

The order of precedence is: command-line option, environment, file, the setting
`CONCURRENCY`, default. Hooks of the file run in addition to this package's.
"""

from __future__ import annotations

import os
import shlex
import sys
import traceback
from collections.abc import Callable, Mapping
from functools import wraps
from importlib import import_module
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

from gunicorn.config import Config
from gunicorn.util import parse_address

from concurrency.server import hooks, worker_class
from concurrency.server.configuration import DECIDED_BY, collect_metrics, read_options, translate
from concurrency.server.option_sources import collect, variable
from concurrency.server.options import TABLE, problem

__all__ = ["VARIABLE", "asked_of_gunicorn", "locate", "merged"]

#: The environment variable in which `serve` passes the file: a path, or `python:` and a module.
VARIABLE = "CONCURRENCY_GUNICORN_CONF"

# Of these the file's own hooks run first: this package's end what those may still use.
_ENDS = frozenset({"child_exit", "on_exit", "post_request", "worker_exit"})


def locate(arguments: list[str]) -> str | None:
    """Return the configuration that gunicorn would read, with an absolute path, or None.

    Args:
        arguments: gunicorn's own, which may name another than `gunicorn.conf.py`.

    Raises:
        FileNotFoundError: the file that they name does not exist.
    """
    asked: str | None = asked_of_gunicorn("config", arguments)
    if asked is None:
        path = Path("gunicorn.conf.py")
        return str(path.absolute()) if path.is_file() else None
    if asked.startswith("python:"):
        return asked
    path = Path(asked.removeprefix("file:")).absolute()
    if not path.is_file():
        raise FileNotFoundError(f"gunicorn's configuration {path} does not exist")
    return str(path)


def asked_of_gunicorn(setting: str, arguments: list[str]) -> Any:
    """Return what a command line of gunicorn, or else GUNICORN_CMD_ARGS, gives for a setting."""
    parser = Config(prog="gunicorn").parser()
    for each in (arguments, shlex.split(os.environ.get("GUNICORN_CMD_ARGS", ""))):
        value = getattr(parser.parse_known_args(each)[0], setting)
        if value is not None:
            return value
    return None


def merged() -> dict[str, Any]:
    """Return gunicorn's settings from all sources, including hooks.

    Ends the process with one line if they cannot work: there is no worker yet, and a worker
    that cannot start would be replaced for ever.
    """
    hooks.run_by_serve = True
    location = os.environ.get(VARIABLE)
    names = _read(location) if location else {}
    theirs = _normalised(names, location) if location else {}
    options = read_options(file=_as_options(theirs))
    settings = {**translate(options), "control_socket_disable": "control_socket" not in theirs}
    chosen = set(collect())
    for name in theirs:
        if not chosen.intersection(DECIDED_BY.get(name, (name,))):
            settings[name] = names[name]  # as it is: gunicorn does not take back what it has made
    for name in hooks.__all__:
        settings[name] = _chained(name, theirs.get(name))
    _refuse_unfit(settings["worker_class"], "worker_class" in theirs, location)
    collect_metrics(options)
    return settings


def _refuse_unfit(found: Any, is_of_file: bool, location: str | None) -> None:
    """End the process if gunicorn's worker class cannot serve greenlets."""
    asked = asked_of_gunicorn("worker_class", sys.argv[1:])
    complaint = worker_class.problem(asked or found)
    if complaint is None:
        return
    if asked or not is_of_file or variable("worker_class") in os.environ:
        remedy = f"Choose --worker-class {worker_class.DEFAULT}, which is the default."
    else:
        remedy = f'In {location} write: worker_class = "{worker_class.DEFAULT}"'
    sys.exit(f"gunicorn: {complaint}. {remedy}")


def _read(location: str) -> dict[str, Any]:
    """Return the names that a configuration defines."""
    if location.startswith("python:"):
        return vars(import_module(location.removeprefix("python:")))
    # The name under which gunicorn itself loads such a file.
    spec = spec_from_file_location("__config__", location)
    if spec is None or spec.loader is None:
        sys.exit(f"gunicorn: {location} is no Python file")
    module = module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except Exception:  # noqa: BLE001 - it is the project's own code
        traceback.print_exc()
        sys.exit(f"gunicorn: {location} cannot be read")
    return vars(module)


def _normalised(names: Mapping[str, Any], location: str) -> dict[str, Any]:
    """Return the names that are gunicorn settings, with gunicorn's normalised values."""
    cfg = Config()
    found = {}
    for name, value in names.items():
        if name in cfg.settings:
            try:
                cfg.set(name, value)
            except Exception as error:  # noqa: BLE001 - validators raise what they like
                sys.exit(f"gunicorn: {location} sets {name} = {value!r}: {error}")
            found[name] = cfg.settings[name].get()
    return found


def _as_options(theirs: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings of a file that correspond to options of `serve`."""
    found = {name: value for name, value in theirs.items() if name in TABLE and name != "bind"}
    if "forwarded_allow_ips" in found:
        found["forwarded_allow_ips"] = ",".join(found["forwarded_allow_ips"])
    if len(theirs.get("bind", ())) == 1:
        (text,) = theirs["bind"]
        address = parse_address(text)
        if isinstance(address, tuple):
            found["bind"], found["port"] = address
        else:
            found["bind"] = text
    return {name: value for name, value in found.items() if problem(name, value) is None}


def _chained(name: str, theirs: Callable[..., Any] | None) -> Callable[..., Any]:
    """Return a hook that runs this package's hook, and the file's if it has one."""
    ours = getattr(hooks, name)
    real: Callable[..., Any] = ours.__wrapped__
    if theirs is None or theirs is ours:
        return real

    @wraps(real)
    def both(*arguments: Any) -> None:
        real(*arguments)
        theirs(*arguments)

    @wraps(real)
    def theirs_first(*arguments: Any) -> None:
        try:
            theirs(*arguments)
        finally:
            real(*arguments)

    return theirs_first if name in _ENDS else both
