"""Takes the pictures that the README shows: `python -m bench.screenshot`.

Starts the example and opens its pages in a headless Chromium: ``/ten-slow-requests/`` for
``timeline.png``, and for ``greeting.png`` the front page, whose services wait 0.3 s before they
answer. The numbers in them are measured, not made up.
"""

from __future__ import annotations

import argparse
import subprocess
import tempfile
from pathlib import Path

from bench import command
from bench.database import database
from bench.fleet import Fleet, migrate
from bench.pages import DELAY
from bench.server import HOST, ROOT, WebServer

__all__ = ["main", "take"]

FOLDER = ROOT / "bench" / "results" / "images"
TRACKED = ROOT / "docs" / "images"
# Up to the end of the chart; the table of the numbers is below.
SLOW, SLOW_SIZE = "/ten-slow-requests/", "900,806"
GREETING, GREETING_SIZE = "/?person=sherlock&lang=es&tod=18:03:09", "900,740"


def main(arguments: list[str] | None = None) -> int:
    """Take the pictures."""
    parser = argparse.ArgumentParser(prog="python -m bench.screenshot", description=__doc__)
    where = parser.add_mutually_exclusive_group()
    where.add_argument("--to", type=Path, default=FOLDER, help=f"write to this folder ({FOLDER})")
    where.add_argument(
        "--overwrite", action="store_const", dest="to", const=TRACKED,
        help="write to docs/images, over the pictures of the README",
    )  # fmt: skip
    folder = parser.parse_args(arguments).to
    browser = command.CHROMIUM.program
    assert browser is not None  # noqa: S101 - looked for before
    with database() as url:
        migrate(url)
        with Fleet({"DATABASE_URL": url}) as fleet:
            fleet.start("user", "welcome", DEVELOPMENT_DELAY=str(DELAY))
            fleet.start("frontend")
            server = fleet["frontend"]
            # The pictures show a warm server: the browser's own start costs it enough.
            server.get(f"{SLOW}?seconds=0", server.authorization)
            server.get(GREETING)
            take(browser, server, SLOW, folder / "timeline.png", SLOW_SIZE)
            take(browser, server, GREETING, folder / "greeting.png", GREETING_SIZE)
    print(f"timeline.png and greeting.png are in {folder}")  # noqa: T201
    return 0


def take(browser: str, server: WebServer, path: str, target: Path, size: str) -> None:
    """Write what the browser shows for ``path``, in that size, to the file ``target``."""
    target.parent.mkdir(parents=True, exist_ok=True)
    address = f"http://{server.user}:{server.password}@{HOST}:{server.port}{path}"
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        subprocess.run(  # noqa: S603 - fixed arguments
            [
                *(browser, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"),
                *(f"--user-data-dir={profile}", f"--window-size={size}"),
                # Twice as fine as the page's pixels, for screens that show it so.
                *("--force-device-scale-factor=2", f"--screenshot={target}", address),
            ],
            check=True,
            timeout=120,
            capture_output=True,
        )


if __name__ == "__main__":
    command.run(main, command.CHROMIUM)
