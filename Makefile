# Every target works from a bare checkout: it makes its own virtual environment, and brings it up to date when setup.py
# changes. Paths are relative, so the checkout may lie anywhere, in a folder with a space in its name too.

VENV := .venv
LINT_VENV := .venv-lint
DOCS_VENV := .venv-docs
MATRIX_VENV := .venv-matrix
DIST_VENV := .venv-dist
ARGS :=
VERSIONS := 3.8 3.9 3.10 3.11 3.12 3.13 3.14
PIP_INSTALL := -m pip install -qq --disable-pip-version-check

# MXNet asks for NumPy 1, of which there are no wheels for Python 3.13 and later. It works with NumPy 2, but pip cannot be
# told so: where setup.py leaves MXNet out, it is installed by itself. Elsewhere this finds it installed.
MXNET := --no-deps mxnet==1.9.1

# Prints the version of an interpreter that can make the environment; fails in any other.
SUPPORTED := import sys, sysconfig; assert (3, 8) <= sys.version_info[:2] <= (3, 14) and sys.maxsize > 2**32; \
	assert not sysconfig.get_config_var("Py_GIL_DISABLED"); import ensurepip, venv; \
	print("%d.%d.%d" % sys.version_info[:3])

# $(call find_python,CANDIDATES): shell code that prints the first supported interpreter among them.
find_python = for python in $(1); do "$$python" -c '$(SUPPORTED)' >/dev/null 2>&1 && echo "$$python" && break; done
pyenv = "$${PYENV_ROOT:-$$HOME/.pyenv}"/versions/$(1).*/bin/python3

# Only what needs an interpreter waits for the search.
ifneq ($(filter-out help clean,$(or $(MAKECMDGOALS),help)),)
ifndef PYTHON
PYTHON := $(shell $(call find_python,python3 $(foreach v,$(VERSIONS),python$(v)) $(foreach v,$(VERSIONS),$(call pyenv,$(v)))))
endif
PYTHON_VERSION := $(shell "$(PYTHON)" -c '$(SUPPORTED)' 2>/dev/null)
ifndef PYTHON_VERSION
$(error $(if $(PYTHON),"$(PYTHON)" is not,There is no) Python 3.8 to 3.14 (64 bits, not free-threaded) with the modules venv and ensurepip. \
	Install one (Debian, Ubuntu: python3 and python3-venv) and name it: make PYTHON=/path/to/python3)
endif
endif

# MXNet's wheels for Linux on x86-64 need two libraries of the system.
define LIBRARIES
import ctypes, platform, sys
missing = []
if sys.platform == "linux" and platform.machine() == "x86_64":
    for library, package in (("libgomp.so.1", "libgomp1"), ("libquadmath.so.0", "libquadmath0")):
        try:
            ctypes.CDLL(library)
        except OSError:
            missing.append(package)
if missing:
    sys.exit("MXNet needs system libraries that are missing: sudo apt-get install " + " ".join(missing))
endef
export LIBRARIES

# A stamp carries the version of Python, so that another PYTHON gets another environment.
MADE = $(VENV)/made-$(PYTHON_VERSION)
INSTALLED = $(VENV)/installed-$(PYTHON_VERSION)
LINT_INSTALLED = $(LINT_VENV)/installed-$(PYTHON_VERSION)
DOCS_INSTALLED = $(DOCS_VENV)/installed-$(PYTHON_VERSION)
MATRIX_INSTALLED = $(MATRIX_VENV)/installed-$(PYTHON_VERSION)
DIST_INSTALLED = $(DIST_VENV)/installed-$(PYTHON_VERSION)

.PHONY: help install demo bench test test-all dist lint format docs clean
.DELETE_ON_ERROR:

help: ## list the targets
	@echo "make TARGET [PYTHON=python3.x]"
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-9s %s\n", $$1, $$2 }' Makefile

install: $(INSTALLED) ## make .venv with the package and what its tests need
	@echo "Installed: $(VENV)/bin/neural-style"

demo: $(INSTALLED) ## make a first picture in output/; ARGS goes to neural-style demo: make demo ARGS='--content coffee'
	@$(VENV)/bin/neural-style demo $(ARGS)

bench: $(INSTALLED) ## time and memory of a step, beside the original's loop and PyTorch
	@$(VENV)/bin/python $(PIP_INSTALL) "torch==2.13.0+cpu" 2>/dev/null \
		|| $(VENV)/bin/python $(PIP_INSTALL) torch
	@$(VENV)/bin/python benchmarks/bench.py $(ARGS)

test: $(INSTALLED) ## run the tests; ARGS goes to pytest: make test ARGS='-k images'
	@$(VENV)/bin/python -m pytest $(ARGS)

test-all: $(MATRIX_INSTALLED) ## run the core of the tests with every Python found, and the oldest and newest packages
	@set --; for version in $(VERSIONS); do \
		python=$$($(call find_python,python$$version $(call pyenv,$$version))); \
		if [ -n "$$python" ]; then set -- "$$@" "$$python"; else echo "Python $$version: not found"; fi; \
	done; \
	$(MATRIX_VENV)/bin/python tests/matrix.py "$$@" $(if $(ARGS),--tests $(ARGS))

dist: $(DIST_INSTALLED) ## build sdist and wheel in dist/, install each into an empty environment, and use it
	@rm -rf dist && $(DIST_VENV)/bin/python -m build --quiet >/dev/null
	@set -e; for archive in dist/*.whl dist/*.tar.gz; do \
		echo "Installing $$archive into an empty environment"; \
		"$(PYTHON)" -m venv --clear $(DIST_VENV)/empty; \
		$(DIST_VENV)/empty/bin/python $(PIP_INSTALL) "$$archive"; \
		$(DIST_VENV)/empty/bin/python $(PIP_INSTALL) $(MXNET); \
		$(DIST_VENV)/empty/bin/neural-style demo --max-long-edge 96 --max-num-epochs 5 \
			--output-dir $(DIST_VENV)/empty/pictures >/dev/null 2>$(DIST_VENV)/log || { cat $(DIST_VENV)/log; exit 1; }; \
	done
	@echo "Both work:" dist/*

lint: $(LINT_INSTALLED) ## check the code's rules and form
	@$(LINT_VENV)/bin/ruff check
	@$(LINT_VENV)/bin/ruff format --check
	@$(LINT_VENV)/bin/mypy

format: $(LINT_INSTALLED) ## bring the code into form
	@$(LINT_VENV)/bin/ruff check --fix
	@$(LINT_VENV)/bin/ruff format

docs: $(DOCS_INSTALLED) ## build the documentation in site/
	@NO_MKDOCS_2_WARNING=1 $(DOCS_VENV)/bin/mkdocs build --strict --quiet
	@echo "Built: site/index.html; to search it, python3 -m http.server --directory site"

clean: ## remove the environments and all that was built; pictures and models stay
	rm -rf .venv .venv-* build dist site *.egg-info .pytest_cache .ruff_cache .mypy_cache
	find neural_style tests benchmarks -name __pycache__ -prune -exec rm -rf {} +

$(MADE):
	@"$(PYTHON)" -c "$$LIBRARIES"
	@echo "Making $(VENV) with Python $(PYTHON_VERSION)"
	@"$(PYTHON)" -m venv --clear $(VENV)
	@touch $@

$(INSTALLED): $(MADE) setup.py pyproject.toml
	@echo "Installing the package into $(VENV); the first time this takes a minute"
	@$(VENV)/bin/python $(PIP_INSTALL) --no-warn-conflicts -e '.[test]'
	@$(VENV)/bin/python $(PIP_INSTALL) $(MXNET)
	@touch $@

# The tools alone, at the versions that the extra names: checking needs neither the package nor MXNet.
$(LINT_INSTALLED): setup.py
	@echo "Making $(LINT_VENV)"
	@"$(PYTHON)" -m venv --clear $(LINT_VENV)
	@$(LINT_VENV)/bin/python $(PIP_INSTALL) $$(sed -n 's/.*"\(\(ruff\|mypy\)[^"]*\)".*/\1/p' setup.py)
	@touch $@

# MkDocs, and ruff for the form of signatures: the reference is read from the source, without importing it.
$(DOCS_INSTALLED): setup.py
	@echo "Making $(DOCS_VENV)"
	@"$(PYTHON)" -m venv --clear $(DOCS_VENV)
	@grep -oE '"(mkdocs|ruff)[^"]*"' setup.py | tr -d '"' | $(DOCS_VENV)/bin/python $(PIP_INSTALL) -r /dev/stdin
	@touch $@

# uv, which finds the oldest packages that are allowed.
$(MATRIX_INSTALLED):
	@"$(PYTHON)" -c "$$LIBRARIES"
	@echo "Making $(MATRIX_VENV)"
	@"$(PYTHON)" -m venv --clear $(MATRIX_VENV)
	@$(MATRIX_VENV)/bin/python $(PIP_INSTALL) uv
	@touch $@

$(DIST_INSTALLED):
	@"$(PYTHON)" -c "$$LIBRARIES"
	@echo "Making $(DIST_VENV)"
	@"$(PYTHON)" -m venv --clear $(DIST_VENV)
	@$(DIST_VENV)/bin/python $(PIP_INSTALL) build
	@touch $@
