# `make report` and `make test` are all a fresh machine with Python 3.11 and make needs.
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
PYTHON ?= $(shell for p in python3.11 python3; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)

# Idle OpenMP threads otherwise spin and slow each other down on a small machine.
export OMP_WAIT_POLICY := PASSIVE

.DEFAULT_GOAL := report
.PHONY: install report lab test lint train docs

install: $(STAMP)

$(STAMP): pyproject.toml constraints.txt
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer is needed (make PYTHON=...)"; exit 1; }
	@echo "Installing into $(VENV): about two minutes, 2 GB"
	rm -rf mstar_workbench.egg-info  # an old one hides new commands: findings/setuptools-editable-egg-info.sh
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check \
		-c constraints.txt -e '.[lab,dev]'
	@touch $@

report: $(STAMP)
	$(BIN)/mstar report image --out out/report

# A copy of the course is run, so that the checkout stays as it is; a notebook that was changed stays
# too. JupyterLab refuses to start as root, the usual user of a container, unless told.
lab: $(STAMP)
	$(BIN)/mstar notebooks out/course
	JUPYTER_CONFIG_PATH="$(CURDIR)/notebooks" $(BIN)/jupyter lab $(if $(filter 0,$(shell id -u)),--allow-root) \
		--ServerApp.root_dir="$(CURDIR)" out/course/00_tour.ipynb

# One process a core: more than four would want more than 12 GB.
test: $(STAMP)
	$(BIN)/python -m pytest -n logical --maxprocesses 4

lint: $(STAMP)
	$(BIN)/ruff check .

train: $(STAMP)
	$(BIN)/mstar train

# From docstrings alone: nothing is downloaded, and the pages ask no network for anything. Every
# module is named, as pdoc goes no further than `__all__` by itself.
MODULES = $(shell find mstar -name '*.py' ! -name '__main__.py' \
	| sed 's|/__init__.py$$||; s|\.py$$||; s|/|.|g' | sort)
docs: $(STAMP)
	$(BIN)/python -m pdoc --docformat google --output-directory out/docs \
		$(MODULES) mstar.widgets mstar.reports
