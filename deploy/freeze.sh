#!/bin/sh
# Writes requirements.txt: the newest versions of what requirements_to_freeze.txt names, and of all
# that they need, from an environment that holds nothing else.
set -eu
cd "$(dirname "$0")/.."
. deploy/python.sh

clean=$(mktemp -d)
trap 'rm -rf "$clean"' EXIT
"$python" -m venv "$clean/venv"
pip="$clean/venv/bin/python -m pip --disable-pip-version-check"
$pip install --quiet -r requirements_to_freeze.txt
# pip repeats the comments of the file, which explain the file and not the versions.
$pip freeze --quiet -r requirements_to_freeze.txt | grep -v '^#' | grep . >"$clean/versions"
{
    echo "# Do not edit: \`make freeze\` writes this file from requirements_to_freeze.txt, in a clean"
    echo "# environment. These are the versions that were tested; install no others in production."
    echo
    cat "$clean/versions"
} >requirements.txt
echo "Wrote requirements.txt. Run \`make test\` before you commit it." >&2
