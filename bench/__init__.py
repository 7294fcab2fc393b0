"""Measurements: load on a real server, the demonstration, the cost of a fan-out.

``python -m bench`` puts load on the example, ``python -m bench.demo`` times the
demonstration, ``python -m bench.fanout`` compares fan-out with raw gevent, and
``python -m bench.screenshot`` takes the picture in the README. ``make bench`` runs what
measures.
"""

import sys
from importlib.util import find_spec

# Before a module of ours imports it: `python -m bench` may be the first thing that is tried.
for _name in ("gevent", "psutil", "psycopg"):
    if find_spec(_name) is None:
        sys.exit(
            f"bench: the Python package {_name} is missing here. Run `make install`, and use "
            f"`.venv/bin/python` or `. .venv/bin/activate`."
        )
