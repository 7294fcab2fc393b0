# Sets `python` to a Python that is new enough; for scripts that run before there is any venv.

python=
for candidate in ${PYTHON_FOR_VENV:-python3 python3.11 python3.12 python3.13 python3.14}; do
    # A name may be there and not work (pyenv's shims), so each is tried.
    if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
        python=$candidate
        break
    fi
done
if [ -z "$python" ]; then
    echo "Python 3.11 or newer is needed, and python3 is $(python3 --version 2>/dev/null || echo missing)." \
        "Install it, or say where it is: PYTHON_FOR_VENV=/path/to/python make install" >&2
    exit 1
fi
if ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
    echo "$("$python" --version) lacks the module venv or ensurepip." \
        "On Debian and Ubuntu: apt-get install python3-venv" >&2
    exit 1
fi
