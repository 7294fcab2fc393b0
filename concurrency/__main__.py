"""Any management command in a patched process: `python -m concurrency migrate`.

For a project whose entry points differ; `DJANGO_SETTINGS_MODULE` has to be set.
"""

from __future__ import annotations

import concurrency.patch  # noqa: F401 - importing it is what patches

# isort: split

import sys

from django.core.management import execute_from_command_line

if __name__ == "__main__":
    execute_from_command_line(["python -m concurrency", *sys.argv[1:]])
