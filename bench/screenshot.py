"""Takes the picture of the timeline that the README shows: `python -m bench.screenshot`.

Starts the example, opens ``/ten-slow-requests/`` in a headless Chromium and
writes ``docs/images/timeline.png``. The numbers in it are measured, not made up.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from bench.database import database
from bench.server import HOST, ROOT, WebServer, exit_on_sigterm

__all__ = ["main", "take"]

PICTURE = ROOT / "docs" / "images" / "timeline.png"
SIZE = "900,806"  # up to the end of the chart; the table of the numbers is below
_NAMES = ("chromium", "chromium-browser", "google-chrome")


def main(arguments: list[str] | None = None) -> int:
    """Take the picture; 1 when there is no Chromium."""
    parser = argparse.ArgumentParser(prog="python -m bench.screenshot", description=__doc__)
    parser.add_argument("--to", type=Path, default=PICTURE, help="the file to write")
    target = parser.parse_args(arguments).to
    browser = next(filter(None, map(shutil.which, _NAMES)), None)
    if browser is None:
        sys.stderr.write(f"none of {', '.join(_NAMES)} is installed\n")
        return 1
    exit_on_sigterm()
    with database() as url, WebServer({"DATABASE_URL": url}) as server:
        # The picture shows a warm server: the browser's own start costs it enough.
        server.get("/ten-slow-requests/?seconds=0", server.authorization)
        take(browser, server, "/ten-slow-requests/", target)
    return 0


def take(browser: str, server: WebServer, path: str, target: Path) -> None:
    """Write what the browser shows for ``path`` to the file ``target``."""
    target.parent.mkdir(parents=True, exist_ok=True)
    address = f"http://{server.user}:{server.password}@{HOST}:{server.port}{path}"
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        subprocess.run(  # noqa: S603 - fixed arguments
            [
                *(browser, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"),
                *(f"--user-data-dir={profile}", f"--window-size={SIZE}"),
                # Twice as fine as the page's pixels, for screens that show it so.
                *("--force-device-scale-factor=2", f"--screenshot={target}", address),
            ],
            check=True,
            timeout=120,
            capture_output=True,
        )


if __name__ == "__main__":
    sys.exit(main())
