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
# torch first and by pip, which takes what it was told to take (a build for CPUs, a local file); the
# rest by uv, in a quarter of pip's time. uv does not read pip's settings: where it fails, pip may
# know another index. Neither pulls in another torch than the pinned one, nor compiles what is not
# imported.
pip_install() { "$VENV/bin/python" -m pip install -q --no-compile --constraint constraints.txt "$@"; }
pip_install torch uv
set -- --editable ".[test,lint]" "napari[$QT]"
"$VENV/bin/uv" pip install -q --python "$VENV/bin/python" --constraint constraints.txt "$@" ||
    pip_install "$@"
