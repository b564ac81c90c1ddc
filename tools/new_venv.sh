#!/bin/sh
# Makes an empty virtual environment, or says in one message why that cannot be: new_venv.sh PYTHON FOLDER
set -eu
python=$1
folder=$2

fail() {
    echo "eqkb: $1" >&2
    exit 1
}

found=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null) ||
    fail "needs Python 3.11 or newer, and '$python' does not run; name one that does: make PYTHON=/path/to/python3"
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
    fail "needs Python 3.11 or newer, but '$python' is Python $found; name a newer one: make PYTHON=/path/to/python3"
"$python" -c 'import ensurepip, venv' 2>/dev/null ||
    fail "'$python' has no venv module; on Debian and Ubuntu: apt-get install python3-venv (or python$found-venv)"

echo "Setting up $folder with Python $found"
"$python" -m venv --clear "$folder"
