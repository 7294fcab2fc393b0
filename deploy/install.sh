#!/bin/sh
# Makes the virtual environment $1 and installs all that is needed to work on the project.
set -eu
venv=$1
here=$(dirname "$0")

# Runs a command and tells every five seconds that it still runs.
telling() {
    "$@" &
    running=$!
    trap 'kill "$running" 2>/dev/null; exit 130' INT TERM HUP
    seconds=0
    while kill -0 "$running" 2>/dev/null; do
        sleep 1
        seconds=$((seconds + 1))
        [ $((seconds % 5)) -ne 0 ] || echo "  $seconds s"
    done
    trap - INT TERM HUP
    wait "$running"
}

if ! "$venv/bin/python" -c 'import pip' 2>/dev/null; then
    . "$here/python.sh"
    echo "Making $venv with $("$python" --version) ..."
    telling "$python" -m venv --clear "$venv"
fi
echo "Installing what requirements-bench.txt and the files below it name; this takes half a minute ..."
# The last file includes the others.
telling "$venv/bin/python" -m pip install --quiet --disable-pip-version-check -r requirements-bench.txt
