PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.PHONY: setup test demo lint docs bench
setup: $(STAMP)

$(STAMP): setup.cfg constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet -c constraints.txt -e ".[dev]"
	touch $(STAMP)

test: $(STAMP)
	$(BIN)/python -m pytest

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

docs: $(STAMP)
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -P -m mkdocs build --strict --quiet

demo: $(STAMP)
	$(BIN)/cortexnet demo --out demo-results

# Without the full job, which takes the better part of an hour: see benchmarks/encoding_job.py.
bench: $(STAMP)
	for script in $(filter-out benchmarks/encoding_job.py,$(wildcard benchmarks/*.py)); do \
		$(BIN)/python -P $$script || exit 1; done
