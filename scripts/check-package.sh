#!/bin/sh
# Build wheel and sdist, and see that the wheel alone, in a bare environment, denoises a photograph.
#   sh scripts/check-package.sh [PYTHON] [FOLDER]
# PIP_OPTIONS may hold options for pip, such as where to find a torch for the CPU.
set -eu
PYTHON="${1:-python3}"
DIST="${2:-dist}"
LARGEST=$((25 * 1024 * 1024)) # bytes
ROOT=$(cd "$(dirname "$0")/.." && pwd)
WORK=$(mktemp -d)
trap 'rm -rf "$WORK"' EXIT

mkdir -p "$DIST"
DIST=$(cd "$DIST" && pwd)
"$PYTHON" -m venv "$WORK/build"
"$WORK/build/bin/python" -m pip install -q build twine
"$WORK/build/bin/python" -m build --outdir "$WORK/made" "$ROOT" >"$WORK/build.log" ||
    { cat "$WORK/build.log"; exit 1; }
"$WORK/build/bin/python" -m twine check --strict "$WORK"/made/*
for file in "$WORK"/made/*.whl; do
    size=$(wc -c <"$file")
    echo "$(basename "$file"): $size bytes"
    if [ "$size" -gt "$LARGEST" ]; then
        echo "the wheel is larger than $LARGEST bytes" >&2
        exit 1
    fi
done

"$PYTHON" -m venv "$WORK/bare"
# shellcheck disable=SC2086
"$WORK/bare/bin/python" -m pip install -q --constraint "$ROOT/constraints.txt" ${PIP_OPTIONS:-} \
    "$WORK"/made/*.whl
cd "$WORK"
"$WORK/bare/bin/python" -c "
from imageio.v3 import imwrite
from napari_ae_denoise.samples import photograph
imwrite('photo.png', photograph().noisy[:128, :128])
"
"$WORK/bare/bin/napari-ae-denoise" --version
"$WORK/bare/bin/napari-ae-denoise" denoise photo.png -o clean.png
test -s clean.png
cp "$WORK"/made/* "$DIST"
echo "wheel and sdist are good, and in $DIST"
