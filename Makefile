# Two commands: `make demo` and `make test`. Each does all its own set-up.

PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11; do \
	command -v $$p >/dev/null && $$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	2>/dev/null && echo $$p && break; done)
QT ?= pyqt6
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready-$(QT)
XVFB := xvfb-run -a -s "-screen 0 1400x900x24"
# One thread a core less than there are: see devices.py. The tests ask for one, to be repeatable.
ONE_THREAD := OMP_NUM_THREADS=1

.PHONY: help demo test test-core test-panels test-long test-many lint format bench fuzz mutants docs notebook \
	screenshots family package clean

help:
	@echo "make demo         open napari on a noisy micrograph, denoised (a picture, without a display)"
	@echo "make test         run the whole test suite, the panels in a real viewer"
	@echo "make test-long    the few tests that take longest: kills, clusters, long use; a library more"
	@echo "make test-many    the whole suite RUNS (20) times, until a test fails"
	@echo "make lint         ruff and mypy"
	@echo "make bench        short forms of the benchmarks"
	@echo "make fuzz         open damaged model files for FUZZ_SECONDS (600) from FUZZ_SEED (0) on"
	@echo "make mutants      break tiling.py and model_file.py and see the tests fail, for MUTANTS_SECONDS"
	@echo "make docs         the documentation as a site, in the folder site"
	@echo "make notebook     run the notebook of the examples anew"
	@echo "make screenshots  pictures of the panels for the docs"
	@echo "make family       pictures of the kinds of autoencoders for the docs"
	@echo "make package      wheel and sdist, tried in a bare environment"

$(READY): pyproject.toml constraints.txt scripts/install.sh
	PYTHON="$(PYTHON)" VENV="$(VENV)" QT="$(QT)" sh scripts/install.sh
	@touch $@

demo: $(READY)
	@sh scripts/system-libraries.sh window || true
	$(BIN)/napari-ae-denoise demo

test: $(READY)
	@$(BIN)/python scripts/test_both.py $(MAKE)

# The core must work without napari and Qt: here both cannot be imported.
test-core: $(READY)
	$(ONE_THREAD) WITHOUT_WINDOW=1 $(BIN)/python -m pytest tests --ignore=tests/_qt \
		-p no:napari -p no:pytest-qt

PANELS ?= tests/_qt

test-panels: $(READY)
	sh scripts/system-libraries.sh virtual-display
	$(ONE_THREAD) LIBGL_ALWAYS_SOFTWARE=1 $(XVFB) $(BIN)/python -m pytest $(PANELS)

# ome-zarr's s3fs, which nothing here needs, asks for an older fsspec than the pinned one.
test-long: $(READY)
	sh scripts/system-libraries.sh virtual-display
	$(BIN)/python -m pip install -q --constraint constraints.txt aiohttp deprecated requests
	$(BIN)/python -m pip install -q --constraint constraints.txt --no-deps ome-zarr rangehttpserver
	$(ONE_THREAD) LIBGL_ALWAYS_SOFTWARE=1 $(XVFB) $(BIN)/python -m pytest tests -m long

RUNS ?= 20

test-many: $(READY)
	@for run in $$(seq $(RUNS)); do \
		echo "run $$run of $(RUNS): $$(date)"; $(MAKE) --no-print-directory test || exit 1; done

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(READY)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(READY)
	sh scripts/system-libraries.sh virtual-display
	$(ONE_THREAD) LIBGL_ALWAYS_SOFTWARE=1 $(XVFB) $(BIN)/python benchmarks/write_tables.py

FUZZ_SECONDS ?= 600
FUZZ_SEED ?= 0

fuzz: $(READY)
	$(ONE_THREAD) $(BIN)/python scripts/fuzz.py --seconds $(FUZZ_SECONDS) --seed $(FUZZ_SEED)

MUTANTS_SECONDS ?= inf

mutants: $(READY)
	$(BIN)/python -m pip install -q cosmic-ray==8.7.0
	$(BIN)/python scripts/mutants.py --seconds $(MUTANTS_SECONDS)

docs: $(READY)
	$(BIN)/python -m pip install -q --constraint constraints.txt --editable ".[docs]"
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

notebook: $(READY)
	$(BIN)/python -m pip install -q --constraint constraints.txt --editable ".[docs]"
	$(ONE_THREAD) $(BIN)/python scripts/notebook.py

screenshots: $(READY)
	sh scripts/system-libraries.sh virtual-display
	LIBGL_ALWAYS_SOFTWARE=1 $(XVFB) $(BIN)/python scripts/screenshots.py docs/images

family: $(READY)
	$(BIN)/python scripts/family.py docs/images/family

package:
	sh scripts/check-package.sh "$(PYTHON)" dist

clean:
	rm -rf $(VENV) demo-output build dist
