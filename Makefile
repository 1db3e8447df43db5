# ptywidgets
#
#   make demo    open the first notebook in JupyterLab (installs into .venv)
#   make test    install what the checks need and run all of them, as .ci/run does
#
# Each stage of `make test` is a target of its own: lint types js bundle test-engine test-above test-without-extras
# test-notebooks test-kernels test-browser. Whatever is installed already is not installed again, so a second run needs no network.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.ONESHELL:
.DEFAULT_GOAL := help

VENV := .venv
ENVS := .venvs
BIN := $(abspath $(VENV))/bin
KERNELS := 6.31 7.3 7.4
KERNEL_ENVS := $(KERNELS:%=$(ENVS)/ipykernel-%/.installed)
NOTEBOOK := notebooks/01_ptychography_in_widgets.ipynb
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet --quiet
NEED := PTYWIDGETS_VENV=$(abspath $(VENV)) .ci/need
ARTIFACTS := test-artifacts
# Looked for again by every make below: `make test` begins before there is one.
ifeq ($(PTYWIDGETS_PY4DSTEM),)
PTYWIDGETS_PY4DSTEM := $(wildcard $(abspath $(ENVS))/py4dstem/bin/python)
endif
export PTYWIDGETS_PY4DSTEM
PYTEST = mkdir -p $(ARTIFACTS) && $(BIN)/python -m pytest --junitxml=$(ARTIFACTS)/$@.xml

.PHONY: help demo test setup lint types js bundle build test-engine test-above test-without-extras test-notebooks test-kernels \
        test-browser bench dist docs kernel-envs py4dstem-env cupy-env format clean distclean

help:
	@sed -n '3,7s/^# \{0,1\}//p' Makefile

# ---------------------------------------------------------------------------------------------- what users run

demo: $(VENV)/.lab-installed
	@options=(--ServerApp.ip=127.0.0.1)
	if [ "$$(id -u)" = 0 ]; then options+=(--allow-root); fi
	if [ "$$(uname)" = Linux ] && [ -z "$${DISPLAY:-}$${WAYLAND_DISPLAY:-}" ]; then options+=(--no-browser); fi
	echo "JupyterLab starts; if no browser opens, copy the address with the token that it prints into one. Ctrl-C ends it."
	exec $(BIN)/python -m jupyterlab "$${options[@]}" --LabApp.default_url=/lab/tree/$(NOTEBOOK)

test:
	@.ci/stages

# ---------------------------------------------------------------------------------------------- what gets installed

setup: $(VENV)/.test-installed kernel-envs
	@$(NEED) chromium || [ -z "$${CI:-}" ]
	if node=$$($(NEED) node); then PATH="$$node:$$PATH" $(MAKE) --no-print-directory --silent js/node_modules/.package-lock.json
	else [ -z "$${CI:-}" ]; fi
	if [ -n "$${CI:-}" ]; then $(MAKE) --no-print-directory --silent py4dstem-env cupy-env; fi

$(VENV)/pyvenv.cfg:
	@python=$$($(NEED) python)
	echo "making $(VENV) with $$("$$python" --version)"
	"$$python" -m venv --clear $(VENV)

$(VENV)/.lab-installed: pyproject.toml | $(VENV)/pyvenv.cfg
	@echo "installing ptywidgets and JupyterLab into $(VENV) (about a minute the first time)"
	$(PIP) install --editable ".[lab]"
	touch $@

$(VENV)/.test-installed: pyproject.toml | $(VENV)/pyvenv.cfg
	@echo "installing ptywidgets and its test tools into $(VENV) (about a minute the first time)"
	$(PIP) install --editable ".[lab,test]"
	touch $@ $(VENV)/.lab-installed

js/node_modules/.package-lock.json: js/package-lock.json
	@echo "installing the node packages into js/node_modules"
	cd js && npm ci --no-audit --no-fund --loglevel=error
	touch node_modules/.package-lock.json

# The kernels that behave differently (see docs/troubleshooting.md). Each environment holds ipykernel alone; all else is
# found in $(VENV) through a .pth file, which makes an environment in a second.
kernel-envs: $(KERNEL_ENVS)

$(ENVS)/ipykernel-%/.installed: $(VENV)/pyvenv.cfg | $(VENV)/.test-installed
	@env=$(ENVS)/ipykernel-$*
	echo "making $$env"
	$(BIN)/python -m venv --clear --without-pip "$$env"
	site=$$("$$env/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
	main=$$($(BIN)/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
	echo "import site; site.addsitedir('$$main')" > "$$site/shared.pth"
	$(PIP) --python "$$env/bin/python" install --ignore-installed --no-deps "ipykernel==$*.*" nest-asyncio
	"$$env/bin/python" -c 'import ipykernel, ptywidgets; assert ipykernel.__version__.startswith("$*."), ipykernel.__file__'
	touch $@

# The peer, for comparing files and results with. It wants an older numpy, hence an environment of its own (740 MB).
py4dstem-env: $(ENVS)/py4dstem/.installed

$(ENVS)/py4dstem/.installed:
	@python=$$(PTYWIDGETS_PYTHON_BELOW=3.13 $(NEED) python)
	echo "installing py4DSTEM into $(ENVS)/py4dstem"
	"$$python" -m venv --clear $(ENVS)/py4dstem
	$(ENVS)/py4dstem/bin/python -m pip --disable-pip-version-check --quiet --quiet install "py4DSTEM==0.14.*"
	touch $@

# What a GPU needs; it is imported without one, to see whether it has what we ask of it (390 MB).
cupy-env: $(ENVS)/cupy/.installed

$(ENVS)/cupy/.installed:
	@python=$$($(NEED) python)
	echo "installing cupy into $(ENVS)/cupy"
	"$$python" -m venv --clear $(ENVS)/cupy
	$(ENVS)/cupy/bin/python -m pip --disable-pip-version-check --quiet --quiet install "cupy-cuda12x>=14"
	touch $@

# ---------------------------------------------------------------------------------------------- the stages

lint: $(VENV)/.test-installed
	@$(BIN)/ruff check .
	$(BIN)/ruff format --check .

format: $(VENV)/.test-installed
	@$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

types: $(VENV)/.test-installed
	@$(BIN)/mypy

# `js` and `bundle` are skipped with a word where there is no Node, which $(NEED) does not allow on CI.
define NODE
mkdir -p $(ARTIFACTS)
if ! node=$$($(NEED) node); then
    if [ -n "$${CI:-}" ]; then exit 1; fi
    echo "no Node of version 20 or newer" > $(ARTIFACTS)/$@.skipped; exit 0
fi
export PATH="$$node:$$PATH"
$(MAKE) --no-print-directory --silent js/node_modules/.package-lock.json
endef

js: $(VENV)/pyvenv.cfg
	@$(NODE)
	cd js && npm test --silent  # the type check and vitest

build: $(VENV)/pyvenv.cfg
	@$(NODE)
	cd js && npm run --silent build

# Byte for byte: what js/ builds in an empty folder is what ptywidgets/static holds.
bundle: $(VENV)/pyvenv.cfg
	@$(NODE)
	rm -rf build/bundle && mkdir -p build/bundle/ptywidgets/static
	cp -al js build/bundle/js
	(cd build/bundle/js && npm run --silent build)
	if ! diff -rq build/bundle/ptywidgets/static ptywidgets/static; then
	    echo "ptywidgets/static is not what js/ builds: run 'make build' and commit the result"; exit 1
	fi
	rm -rf build/bundle
	echo "the bundles are what js/ builds: $$(cat ptywidgets/static/*.js | wc -c) bytes of JavaScript"

test-engine: $(VENV)/.test-installed
	@$(PYTEST) tests/engine

# All that is above the engine, and the examples of docstrings.
test-above: $(VENV)/.test-installed
	@$(PYTEST) -m "not browser and not kernel and not notebook" --ignore tests/engine

# The readers as they are without the extras `formats` and `formats-gpl`: what these packages read is asked for in words.
test-without-extras: $(VENV)/.test-installed
	@export PTYWIDGETS_TEST_WITHOUT="hdf5plugin tifffile zarr rsciio skimage"
	$(PYTEST) tests/engine/io/formats

test-notebooks: $(VENV)/.test-installed
	@$(PYTEST) -m notebook tests/test_notebooks.py

test-kernels: kernel-envs
	@$(PYTEST) -m kernel tests/kernels

test-browser: $(VENV)/.test-installed
	@$(NEED) chromium || true
	$(PYTEST) -m browser tests/browser

bench: $(VENV)/.test-installed
	@$(BIN)/python benchmarks/iteration.py
	@$(BIN)/python benchmarks/compare.py $(if $(DATA),--data $(DATA)) $(BENCH)
	@$(BIN)/python benchmarks/scaling.py

# What a release consists of, and the pages as HTML; see docs/releasing.md.
dist: $(VENV)/pyvenv.cfg
	@$(PIP) install "build>=1.2"
	rm -rf dist
	$(BIN)/python -m build --outdir dist .

docs: $(VENV)/.docs-installed
	@$(BIN)/python -m sphinx --fail-on-warning --keep-going --quiet -c docs -b html . build/docs
	echo "build/docs/docs/index.html"

$(VENV)/.docs-installed: pyproject.toml | $(VENV)/pyvenv.cfg
	@$(PIP) install --editable ".[docs]"
	touch $@

clean:
	@rm -rf build dist $(ARTIFACTS) .pytest_cache .mypy_cache .ruff_cache
	find . -name __pycache__ -type d -not -path './.venv*' -prune -exec rm -rf {} +

distclean: clean
	@rm -rf $(VENV) $(ENVS) js/node_modules
