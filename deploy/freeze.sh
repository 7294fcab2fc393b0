#!/bin/sh
# Writes requirements.txt: the versions of what requirements_to_freeze.txt names, and of all that
# they need, from an environment that holds nothing else. `pip freeze -r` keeps the order and the
# comments of that file, and marks what others brought along.
#
#   freeze.sh          takes the newest versions
#   freeze.sh --keep   keeps the versions that are pinned, where requirements_to_freeze.txt allows
#   freeze.sh --check  writes nothing; fails when --keep would change the file. A release that came
#                      out today makes no difference to it.
set -eu
cd "$(dirname "$0")/.."
. deploy/python.sh

case "${1-}" in
    "") keep= ;;
    --keep | --check) keep=yes ;;
    *) echo "freeze.sh takes --keep or --check, not $1" >&2 && exit 2 ;;
esac
version=$("$python" -c 'import sys; print("Python %d.%d" % sys.version_info[:2])')
if [ "${1-}" = --check ] && ! grep -q "with $version\.\$" requirements.txt; then
    # What a package needs depends on Python's version.
    echo "requirements.txt is not compared: it was made $(grep -o 'with Python [0-9.]*[0-9]' requirements.txt), and this is $version." >&2
    exit 0
fi

clean=$(mktemp -d)
trap 'rm -rf "$clean"' EXIT
grep '==' requirements.txt >"$clean/pinned" || true
"$python" -m venv "$clean/venv"
pip="$clean/venv/bin/python -m pip --disable-pip-version-check"
$pip install --quiet -r requirements_to_freeze.txt ${keep:+--constraint "$clean/pinned"}
{
    echo "# Do not edit: \`make freeze\` writes this file from requirements_to_freeze.txt, in a clean"
    echo "# environment. These are the versions that were tested; install no others in production."
    echo "# Made with $version."
    echo
    $pip freeze --quiet -r requirements_to_freeze.txt
} >"$clean/requirements.txt"
if [ "${1-}" = --check ]; then
    diff -u requirements.txt "$clean/requirements.txt" && exit 0
    echo "requirements.txt is not what \`make freeze\` writes from requirements_to_freeze.txt." >&2
    exit 1
fi
cp "$clean/requirements.txt" requirements.txt
echo "Wrote requirements.txt. Run \`make test\` before you commit it." >&2
