# The verbs of the project, the same for people and for CI. CONTRIBUTING.md tells what they do.

# Where to install. CI and people with an environment of their own set VENV.
VENV ?= .venv
BIN := $(VENV)/bin
PYTHON := $(BIN)/python
INSTALLED := $(VENV)/.installed

.PHONY: install db run demo test thorough fuzz lint map bench soak freeze

install: $(INSTALLED)

$(INSTALLED): requirements.txt requirements-dev.txt requirements-bench.txt deploy/install.sh
	@sh deploy/install.sh $(VENV)
	@touch $@

db: install
	@$(PYTHON) -m deploy.localdb start

run: install
	@$(PYTHON) -m deploy.run

demo: install
	@$(PYTHON) -m bench.demo

# coverage starts before pytest: the plugin that patches is imported before pytest-cov would look.
# The gate is for the whole suite, not for the part that ARGS picks.
test: install
	@$(PYTHON) -m coverage erase
	$(PYTHON) -m tests $(ARGS)
	@$(PYTHON) -m coverage combine --quiet
	@$(PYTHON) -m coverage report $(if $(ARGS),--fail-under=0)

# What would take CI too long: more cases of what `make test` samples.
thorough: install
	$(PYTHON) -m pytest -m thorough $(ARGS)

# A minute or two of changed requests, to the parser and to a server.
fuzz: install
	$(PYTHON) -m pytest -m thorough tests/concurrency/server/worker/http1 $(ARGS)

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# The picture in docs/architecture.md, from the contracts in pyproject.toml and the code.
map: install
	@$(PYTHON) docs/levels.py $(ARGS)

bench: install
	@$(PYTHON) -m bench.suite $(ARGS)

# Ten minutes, and a million numbers for each driver; then ten minutes of HTTP.
soak: install
	@$(PYTHON) -m bench.aio_soak
	@$(PYTHON) -m bench.soak --numbers 1000000 $(ARGS)
	@$(PYTHON) -m bench.http_soak

freeze:
	@sh deploy/freeze.sh $(ARGS)
