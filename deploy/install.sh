#!/bin/sh
# Makes the virtual environment $1 and installs all that is needed to work on the project.
set -eu
venv=$1
here=$(dirname "$0")

if ! "$venv/bin/python" -c 'import pip' 2>/dev/null; then
    . "$here/python.sh"
    echo "Making $venv with $("$python" --version)"
    "$python" -m venv --clear "$venv"
fi
echo "Installing; this takes half a minute"
# The last file includes the others.
"$venv/bin/python" -m pip install --quiet --disable-pip-version-check -r requirements-bench.txt
