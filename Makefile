# `make help` lists the targets. Set-up ends in stamp files inside the environment, so that it runs once,
# and again when pyproject.toml or the pins change.
PYTHON ?= python3
VENV := .venv
ORACLES := .venv-oracles
# One process for each processor; each keeps to neighbouring tests, which share what they derive.
PARALLEL := -n auto --maxprocesses 8 --dist worksteal
PIP := -m pip --disable-pip-version-check --quiet install

.DEFAULT_GOAL := build
.PHONY: build site test lint check-all tex browser oracles slow bench golden format lock clean help

build: $(VENV)/.stamp-run  ## turn equations.yaml into docs, cheat sheets, code and JSON under build/ (the default)
	$(VENV)/bin/eqkb build -o build

site: $(VENV)/.stamp-site  ## the same with the website, in build/site; open its index.html
	$(VENV)/bin/eqkb build -o build

test: lint  ## the tests: no root, no TeX, no PyTorch needed
	$(VENV)/bin/python -m pytest $(PARALLEL) -m "not slow"

lint: $(VENV)/.stamp-dev  ## style, types and the direction of imports
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy
	$(VENV)/bin/lint-imports --no-logo

check-all: tex browser oracles slow  ## what `test` leaves out: TeX, a browser, the oracle values made anew, slow sweeps, the wheel

tex:  ## install TeX where that is possible
	sh tools/tex.sh

browser:  ## install Chromium, in which the website is tested, where that is possible
	sh tools/browser.sh

oracles: $(ORACLES)/.stamp  ## make the oracle values anew with PyTorch, JAX, SciPy and compare
	PYTHONPATH=. $(ORACLES)/bin/python tests/oracles/make.py --check

slow: $(VENV)/.stamp-readers $(VENV)/.stamp-browser tex browser
	$(VENV)/bin/python -m pytest $(PARALLEL) -m slow

bench: $(VENV)/.stamp-browser browser  ## speed and peak memory, as ratios, and the website
	$(VENV)/bin/python benchmarks/run.py

golden: $(VENV)/.stamp-dev  ## write anew what every formula looks like; read the diff before committing it
	PYTHONPATH=. $(VENV)/bin/python tests/test_golden.py

format: $(VENV)/.stamp-dev  ## put the source in order
	$(VENV)/bin/ruff check --fix .
	$(VENV)/bin/ruff format .

lock: $(VENV)/.stamp-dev  ## renew the pins in requirements/
	$(VENV)/bin/python $(PIP) uv
	sh tools/lock.sh $(VENV)/bin/python

clean:  ## remove everything that was made, the environments too
	rm -rf build dist $(VENV) $(ORACLES) .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache
	find kb generators tests tools benchmarks -name __pycache__ -prune -exec rm -rf {} + 2>/dev/null || true

help:  ## this list
	@awk -F ':.*  ## ' '/^[a-z-]+:.*  ## / { printf "  make %-10s %s\n", $$1, $$2 }' Makefile

$(VENV)/.stamp-venv:
	@sh tools/new_venv.sh "$(PYTHON)" $(VENV)
	@touch $@

# Without build isolation nothing unpinned is fetched; -e leaves the source where it is. Where Python must not write
# bytecode (PYTHONDONTWRITEBYTECODE, as in many containers) every start would compile the source again.
$(VENV)/.stamp-run: $(VENV)/.stamp-venv pyproject.toml requirements/run.txt
	$(VENV)/bin/python $(PIP) -r requirements/run.txt
	$(VENV)/bin/python $(PIP) --no-deps --no-build-isolation -e .
	$(VENV)/bin/python -m compileall -q kb generators
	@touch $@

$(VENV)/.stamp-site: $(VENV)/.stamp-run requirements/site.txt
	$(VENV)/bin/python $(PIP) -r requirements/site.txt
	@touch $@

$(VENV)/.stamp-dev: $(VENV)/.stamp-run requirements/dev.txt
	$(VENV)/bin/python $(PIP) -r requirements/dev.txt
	@touch $@

# Pandoc, Anki, and the V8 in which KaTeX runs, are built for few machines; without them the tests that call them skip.
$(VENV)/.stamp-readers: $(VENV)/.stamp-dev requirements/readers.txt
	$(VENV)/bin/python $(PIP) -r requirements/readers.txt || echo "SKIPPED readers: Pandoc, KaTeX or Anki cannot be installed here"
	@touch $@

# Playwright too is built for few machines; without it the tests in a browser skip.
$(VENV)/.stamp-browser: $(VENV)/.stamp-dev requirements/browser.txt
	$(VENV)/bin/python $(PIP) -r requirements/browser.txt || echo "SKIPPED Playwright: it cannot be installed here"
	@touch $@

$(ORACLES)/.stamp: pyproject.toml requirements/oracles.txt
	@sh tools/new_venv.sh "$(PYTHON)" $(ORACLES)
	$(ORACLES)/bin/python $(PIP) -r requirements/oracles.txt
	@touch $@
