"""``startservice NAME``: a new service, which is a folder with two files."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

__all__ = ["Command"]

FOLDER = Path(__file__).resolve().parents[2]

SETTINGS = '''"""The service {name}."""

from __future__ import annotations

PORT = {port}
# Apps of example_site/apps, and of Django's own those that they need.
INSTALLED_APPS = ["example_site.pages"]
# The gatekeeper lets in nobody but other services; take it out where people come themselves.
MIDDLEWARE = ["example_site.gatekeeper.ServiceTokenMiddleware"]
# Those of settings/base.py in which the apps have their tables.
LOGICAL_DATABASES: list[str] = []
# What `/` says, where the service has no page of its own there.
ABOUT = {{"sentence": "Say here what it knows.", "paths": []}}
'''

URLS = '''"""URLs of the service {name}."""

from __future__ import annotations

from django.urls import include, path

urlpatterns = [
    # path("person/", include("example_site.apps.person.urls")), for example
    path("", include("example_site.pages.urls")),
]

handler400 = "example_site.pages.errors.bad_request"
handler403 = "example_site.pages.errors.permission_denied"
handler404 = "example_site.pages.errors.page_not_found"
handler500 = "example_site.pages.errors.server_error"
'''

PROCESS = (
    "{name}: SERVICE={name} PORT=${{PORT_{upper}:-{port}}} "
    "exec python -m gunicorn -c gunicorn.conf.py\n"
)


class Command(BaseCommand):
    """Begin a new service of the example."""

    help = "Makes example_site/services/NAME with settings.py and urls.py."

    def add_arguments(self, parser: Any) -> None:
        """Take the name, and a port that nobody has."""
        parser.add_argument("name", help="small letters, digits and underscores")
        parser.add_argument("--port", type=int, help="for development (default: the next free ten)")

    def handle(self, *args: Any, **options: Any) -> None:
        """Write the two files, and let `make run` start the service.

        Raises:
            CommandError: the name or the port is taken, or the name cannot be one.
        """
        name = options["name"]
        if not re.fullmatch(r"[a-z][a-z0-9_]*", name) or name == "management":
            raise CommandError(f"{name!r} is no name for a service: small letters, digits and _")
        taken = ports()
        port = options["port"] or next_port(taken)
        if port in taken:
            raise CommandError(f"port {port} is that of the service {taken[port]}")
        folder = FOLDER / name
        if folder.exists():
            raise CommandError(f"{folder} is there already")
        folder.mkdir()
        (folder / "settings.py").write_text(SETTINGS.format(name=name, port=port))
        (folder / "urls.py").write_text(URLS.format(name=name))
        procfile = settings.ROOT / "Procfile"
        if procfile.is_file():
            with procfile.open("a", encoding="utf-8") as file:
                file.write(PROCESS.format(name=name, upper=name.upper(), port=port))
        self.stdout.write(f"{folder} is there. Try it: SERVICE={name} python manage.py serve")


def ports() -> dict[int, str]:
    """Return the ports of the services for development, and whose they are."""
    return {int(url.rpartition(":")[2]): name for name, url in settings.DEVELOPMENT_URLS.items()}


def next_port(taken: dict[int, str]) -> int:
    """Return the next round number above those that are taken."""
    return (max(taken) // 10 + 1) * 10
