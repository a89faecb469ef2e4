# `make help` lists what there is. Needs Python 3.11 to 3.15, git and a package index.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
INTEGRATIONS ?= _build/integrations
INTEGRATIONS_NEEDED := mlflow airflow workflow datacontract

.DEFAULT_GOAL := help
.PHONY: help setup report test test-faults test-integrations check serve bench bench-quick evidence bench-serving notebooks lab chapter lock publish clean

help:  ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 14

setup: $(STAMP) $(EXTRAS:%=$(VENV)/.installed-%)  ## make .venv from requirements.txt (exact pins with hashes); EXTRAS=spark adds PySpark

$(STAMP): requirements.txt pyproject.toml
	@sh tools/check_python.sh "$(PYTHON)" "$(or $(firstword $(MAKECMDGOALS)),setup)"
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --compile -r requirements.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	$(BIN)/python -m compileall -q segmentation
	@touch $(STAMP)

$(VENV)/.installed-%: requirements-%.txt $(STAMP)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --compile -r $<
	@touch $@

report: setup  ## run the notebooks on the shipped data, build the book, say where it is
	$(BIN)/segmentation report

test: setup  ## run all tests, files side by side
	$(BIN)/python -m pytest --numprocesses auto --maxprocesses 4 --dist loadfile \
	  --no-loadscope-reorder

test-faults: setup  ## kill, crowd and starve run and report of a tiny shop: nothing may be lost (a quarter of an hour)
	$(BIN)/python -m pytest --numprocesses 2 --dist loadfile tests/faults/faults_of_*.py

test-integrations: setup $(INTEGRATIONS_NEEDED:%=$(INTEGRATIONS)/%/.installed)  ## try MLflow, Airflow and datacontract-cli, each in an environment of its own
	INTEGRATIONS=$(abspath $(INTEGRATIONS)) $(BIN)/python -m pytest --numprocesses 2 --dist loadfile \
	  --no-loadscope-reorder $(WITH) tests/integrations/integration_of_*.py

$(INTEGRATIONS)/%/.installed: tests/integrations/requirements-%.txt
	$(PYTHON) -m venv --clear --without-pip $(@D)
	$(BIN)/uv pip install --quiet --python $(@D)/bin/python --no-deps -r $<
	@touch $@

check: setup  ## lint, formats, types, notebook pairing, links, licences
	$(BIN)/ruff check .
	$(BIN)/ruff format --check segmentation tests
	$(BIN)/mypy
	$(BIN)/python tools/notebook_pairs.py --check
	$(BIN)/python tools/document_links.py
	$(BIN)/python tools/licences.py --check

serve: setup  ## serve a model on this machine: make serve MODEL=runs/cdnow/model
	$(BIN)/segmentation serve $(or $(MODEL),runs/cdnow/model)

bench: setup  ## all performance comparisons: results.json, the book's page, the README's table
	$(BIN)/python -m pip install --quiet --disable-pip-version-check "polars>=1"
	$(BIN)/python -m benchmarks
	$(BIN)/python -m benchmarks.page

bench-quick: setup  ## small comparisons; fails where a ratio fell below half of the committed one
	$(BIN)/python -m benchmarks --quick

evidence: setup  ## simulate in full how often the evidence is wrong, write benchmarks/false_alarms.json (half an hour)
	$(BIN)/python -m benchmarks.false_alarms

bench-serving: setup  ## measure the server: make bench-serving RUN=runs/cdnow (needs wrk)
	$(BIN)/python benchmarks/serving.py $(or $(RUN),runs/cdnow) $(if $(MLFLOW),--mlflow-python $(MLFLOW) --out benchmarks/serving.json)

notebooks: setup  ## bring .py and .ipynb in step, from the side that was changed
	$(BIN)/python tools/notebook_pairs.py

lab: $(VENV)/.installed-lab  ## open the notebooks in JupyterLab; .py and .ipynb stay in step
	$(BIN)/jupyter lab --notebook-dir . $(LAB)

chapter: setup  ## a chapter of your own in the book: make chapter NAME=prices FROM=04_choosing_k
	$(BIN)/python tools/new_chapter.py "$(NAME)" "$(FROM)"

lock: setup  ## write requirements*.txt anew from pyproject.toml
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	  --no-emit-index-url --no-emit-find-links --custom-compile-command "make lock" \
	  --group dev pyproject.toml --output-file requirements.txt
	for extra in spark lab; do \
	  $(BIN)/python -c 'import sys, tomllib; print(*tomllib.load(open("pyproject.toml", "rb"))["project"]["optional-dependencies"][sys.argv[1]], sep="\n")' $$extra \
	  | $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	  --no-emit-index-url --no-emit-find-links --no-annotate --custom-compile-command "make lock" \
	  --constraint requirements.txt - --output-file requirements-$$extra.txt || exit; done
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	  --no-emit-index-url --no-emit-find-links --no-annotate --custom-compile-command "make lock" \
	  --constraint requirements.txt --group serve --output-file requirements-serve.txt
	for name in $(INTEGRATIONS_NEEDED); do \
	  $(BIN)/uv pip compile --quiet --universal --python-version 3.11 \
	  --no-emit-index-url --no-emit-find-links --no-annotate --custom-compile-command "make lock" \
	  --group integration-$$name \
	  --output-file tests/integrations/requirements-$$name.txt || exit; done
	$(BIN)/python tools/licences.py

publish:  ## push _build/html to the branch gh-pages of origin
	@test -f _build/html/index.html || { echo "make report first" >&2; exit 2; }
	@touch _build/html/.nojekyll
	@index=$$(mktemp -u) && \
	  GIT_INDEX_FILE=$$index git --work-tree=_build/html add --all --force . && \
	  tree=$$(GIT_INDEX_FILE=$$index git write-tree) && rm -f $$index && \
	  commit=$$(git commit-tree $$tree -m "Publish the book") && \
	  git push --force origin $$commit:refs/heads/gh-pages

clean:  ## remove runs, the book and the stage cache
	rm -rf runs _build
