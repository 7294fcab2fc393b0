"""Options of `manage.py serve`: where they come from, and what they cannot be."""

from __future__ import annotations

import pytest

from concurrency.server.configuration import translate
from concurrency.server.option_sources import resolve, to_text
from concurrency.server.options import OptionError, ServeOptions


def test_given_beats_environment_beats_settings_beats_default():
    """The first source that has a value decides, also when it is the default's value."""
    sources = {
        "given": {"port": 8000},
        "environ": {"CONCURRENCY_PORT": "8001", "PORT": "8002"},
        "settings": {"PORT": 8003},
    }
    found = []
    for name in ("given", "environ", "settings"):
        found.append(resolve(**{"environ": {}, **sources}).port)
        sources.pop(name)
    found.append(resolve(environ={}).port)
    assert found == [8000, 8001, 8003, 8000]
    assert resolve(environ={"PORT": "8002"}, settings={"PORT": 8003}).port == 8002


@pytest.mark.parametrize("text", ["false", "False", "0", "no", "off"])
def test_false_is_false(text):
    """A switch that the environment turns off is off, and beats the settings."""
    options = resolve(
        environ={"CONCURRENCY_NO_OPS": text, "CONCURRENCY_STATIC": text}, settings={"STATIC": True}
    )
    assert (options.no_ops, options.static) == (False, False)


def test_an_empty_variable_is_not_set():
    """An empty variable, as in a template, leaves the decision to the next source."""
    assert resolve(environ={"CONCURRENCY_STATIC": " "}, settings={"STATIC": True}).static


def test_commands_are_several():
    """A list in the settings, lines or semicolons in the environment: each is one command."""
    expected = ("migrate --no-input", "collectstatic --no-input")
    by_environment = {"CONCURRENCY_COMMAND": "migrate --no-input; collectstatic --no-input"}
    assert resolve(environ=by_environment).command == expected
    assert resolve(environ={}, settings={"COMMAND": list(expected)}).command == expected
    assert resolve(environ={"CONCURRENCY_COMMAND": to_text(expected)}).command == expected


@pytest.mark.parametrize(
    ("sources", "complaint"),
    [
        ({"environ": {"CONCURRENCY_STATIC": "maybe"}}, "write true or false"),
        ({"environ": {"WEB_CONCURRENCY": "two"}}, "WEB_CONCURRENCY in the environment is 'two'"),
        ({"settings": {"PORT": "8000"}}, "port must be a whole number, not '8000'"),
        ({"settings": {"STATIC": "false"}}, "static must be True or False, not 'false'"),
        ({"settings": {"COMMAND": "migrate"}}, "command must be a list of strings"),
        ({"given": {"port": 70000}}, "port must be at most 65535"),
        ({"given": {"workers": -1}}, "workers must be at least 0"),
        ({"given": {"drain_delay": float("nan")}}, "drain-delay must be at least 0"),
        ({"given": {"ready_path": "ready"}}, "ready-path must begin with a slash"),
        ({"given": {"forwarded_allow_ips": "the proxy"}}, "must be addresses and networks"),
        ({"given": {"webhook_url": "example.org"}}, "webhook-url must be an address"),
        ({"given": {"reload": True, "debugger": True}}, "do not go together"),
        ({"given": {"debugger": True, "workers": 2}}, "one worker"),
        ({"given": {"static_watch": ("x",)}}, "--static-watch needs --reload"),
        ({"given": {"port": 65000}}, "ops-port"),
    ],
)
def test_wrong_options_are_named(sources, complaint):
    """An option that cannot be so is refused in one line that names it."""
    with pytest.raises(OptionError, match=complaint) as caught:
        resolve(**{"environ": {}, **sources})
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("options", "address", "ops"),
    [
        ({}, "127.0.0.1:8000", 9000),
        ({"bind": "192.0.2.1", "port": 80}, "192.0.2.1:80", 1080),
        ({"bind": "127.0.0.1:8080"}, "127.0.0.1:8080", 9080),
        ({"bind": "::1"}, "[::1]:8000", 9000),
        ({"bind": "[::1]:8080"}, "[::1]:8080", 9080),
        ({"bind": "unix:/run/shop.sock"}, "unix:/run/shop.sock", 9000),
        ({"bind": "fd://3", "ops_port": 7000}, "fd://3", 7000),
    ],
)
def test_addresses(options, address, ops):
    """An address may have a port of its own, and the ops port is a thousand above it."""
    found = resolve(given=options, environ={})
    assert (found.address, found.ops_address[1]) == (address, ops)


def test_the_secret_is_not_shown():
    """What signs webhooks is in no text about the options."""
    assert "hunter2" not in repr(ServeOptions(webhook_secret="hunter2"))


def test_a_debugger_has_one_worker_that_is_never_killed():
    """Whoever stands at a breakpoint for minutes still has a worker."""
    found = translate(ServeOptions(debugger=True))
    assert (found["workers"], found["timeout"]) == (1, 0)
