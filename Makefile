# Every target sets up what it needs first; a finished set-up costs nothing. See docs/how-to/install.md.
.PHONY: help setup run test check fmt bench models pins
.DEFAULT_GOAL := help

# another environment's settings must not reach into ours
unexport PYTHONPATH PYTHONHOME PYTHONOPTIMIZE PYTHONWARNINGS PYTHONSAFEPATH PYTHONNOUSERSITE VIRTUAL_ENV
unexport PYTHONDONTWRITEBYTECODE # some hundred processes of a test run would each compile all again
export PYRIGHT_PYTHON_IGNORE_WARNINGS = 1

# two cores compute while a third test waits for its processes. A module or class stays in one worker,
# which makes its fixtures once; in the order of collection, so that long system tests begin first
WORKERS = 3

define SETUP
@for python in python3 python3.13 python3.12 python3.11; do \
	if $$python -c '' 2>/dev/null; then exec $$python -E -s scripts/setup.py $(1); fi; \
done; echo "set-up: missing: python3 (3.11 to 3.13). On Debian: apt-get install python3 python3-venv" >&2; exit 3
endef

help: ## what can be made
	@sed -n 's/^\([a-z]*\):.*## /\1\t/p' $(MAKEFILE_LIST)

setup: ## only set up: .venv in the checkout, with everything
	$(call SETUP,--set dev)

run: ## set up and start Pawmesh: make run ARGS="--collars 5"
	$(call SETUP,--set platform)
	@exec .venv/bin/pawmesh up $(ARGS)

test: ## all tests: make test PYTEST_ARGS="tests/unit -k geofence"
	$(call SETUP,--set dev --system)
	.venv/bin/python -m pytest -n $(WORKERS) --dist loadscope --no-loadscope-reorder $(PYTEST_ARGS)

check: ## formatting, lint, types, arrows between packages
	$(call SETUP,--set dev)
	.venv/bin/ruff format --check .
	.venv/bin/ruff check .
	.venv/bin/pyright
	.venv/bin/lint-imports

fmt: ## put the code into its format
	$(call SETUP,--set dev)
	.venv/bin/ruff check --fix .
	.venv/bin/ruff format .

bench: ## all figures, or one: make bench NAME=fleet JSON=out.json; NAME=-h lists them
	$(call SETUP,--set dev)
	.venv/bin/python -m bench $(NAME) $(if $(JSON),--json $(JSON))

models: ## train and admit the collar's models
	$(call SETUP,--set dev)
	.venv/bin/pawmesh models train

pins: ## write constraints.txt from what .venv holds now
	.venv/bin/python scripts/pins.py
