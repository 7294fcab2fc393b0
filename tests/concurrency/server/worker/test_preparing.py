"""What a worker has loaded before its first request."""

from __future__ import annotations

import subprocess
import sys

import pytest

_PROGRAM = """
import concurrency.patch
import sys, types
import django
from django.conf import settings

ENGINE = "concurrency.db.backends."
settings.configure(
    DATABASES={
        "default": {"ENGINE": ENGINE + "postgresql", "NAME": "one"},
        "second": {"ENGINE": ENGINE + "mysql", "NAME": "two"},
    },
    ROOT_URLCONF="urls_of_test",
)
sys.modules["urls_of_test"] = types.SimpleNamespace(urlpatterns=[])
django.setup()

from concurrency.server.worker.preparing import prepare

prepare(types.SimpleNamespace(wsgi=lambda environ, start_response: []))
loaded = set(sys.modules)

from django.db import connections
from gevent.hub import get_hub

get_hub().resolver
print([connections[alias].vendor for alias in connections])
print(sorted(set(sys.modules) - loaded))
"""


@pytest.mark.slow
def test_the_first_request_imports_no_driver():
    """Drivers and resolver are there before the first request, which would wait for them."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", _PROGRAM], capture_output=True, text=True, check=False
    )
    assert done.stdout.splitlines() == ["['postgresql', 'mysql']", "[]"], done.stderr
