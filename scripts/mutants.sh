#!/bin/sh
# Break tiling.py and model_file.py in every small way that cosmic-ray knows, and see the tests
# fail. In a copy, for the files are changed in place. Takes hours; not for CI.
set -eu
BIN=$(cd "$(dirname "$1")" && pwd)/$(basename "$1")
"$BIN/python" -m pip install -q cosmic-ray==8.7.0
copy=build/mutants
rm -rf "$copy"
mkdir -p "$copy"
cp -r src tests pyproject.toml scripts README.md LICENSE "$copy"
cd "$copy"
for module in tiling model_file; do
    cat >"$module.toml" <<END
[cosmic-ray]
module-path = "src/napari_ae_denoise/$module.py"
timeout = 120.0
excluded-modules = []
test-command = "$BIN/python -m pytest -x -q -p no:napari -p no:pytest-qt tests/test_$module.py $([ $module = model_file ] && echo tests/test_hostile_files.py)"

[cosmic-ray.distributor]
name = "local"
END
    export PYTHONPATH="$PWD/src" WITHOUT_WINDOW=1
    "$BIN/cosmic-ray" init "$module.toml" "$module.sqlite"
    "$BIN/cosmic-ray" --verbosity=WARNING baseline "$module.toml"
    "$BIN/cosmic-ray" exec "$module.toml" "$module.sqlite"
    echo "$module: mutants that no test noticed, in percent (20 at most)"
    "$BIN/cr-rate" --fail-over 20 "$module.sqlite"
done
