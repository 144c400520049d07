#!/bin/sh
# Make the virtual environment and install the project with the pinned versions.
set -eu
if [ -z "${PYTHON:-}" ]; then
    echo "Python 3.11 or newer is needed: install it, or name it: make PYTHON=/path/to/python3" >&2
    exit 1
fi
if ! "$PYTHON" -m venv "$VENV"; then
    rm -rf "$VENV"
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
        apt-get update -qq && apt-get install -y -qq python3-venv
        "$PYTHON" -m venv "$VENV"
    else
        echo "Python's module venv is needed: on Debian, the package python3-venv." >&2
        exit 1
    fi
fi
# In one go, so that nothing pulls in another torch than the pinned one. What is imported is compiled
# then: to compile all of the 20,000 files takes longer than anything else here.
"$VENV/bin/python" -m pip install -q --no-compile --constraint constraints.txt \
    torch --editable ".[test,lint]" "napari[$QT]"
