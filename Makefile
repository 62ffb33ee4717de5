# make demo   see passwords turn by themselves (SECONDS=30)
# make test   everything that CI runs
# make test-helm  the chart, with Helm itself (350 MB more)
# make bench  how fast it is, as ratios measured in one run (BENCH="--quick fetch")
# make torture  kill processes and cut connections at every point, and count who could not log in (SECONDS=120, SEED=1)
# make lock   renew the pinned, hashed requirements
SHELL := /bin/bash
PYTHON ?= python3
SECONDS ?= 30
VENV := .venv
BIN := $(VENV)/bin
# make exports SECONDS to recipes, and bash counts in a variable of that name: keep it out of there.
unexport SECONDS
PIP := $(BIN)/python -m pip --disable-pip-version-check install --quiet

.PHONY: demo test test-helm lint bench torture lock clean
demo: $(VENV)/demo.done
	$(BIN)/keywrightd demo --seconds $(SECONDS)

test: $(VENV)/test.done lint
	$(BIN)/python -m pytest -n 3 --dist loadfile --no-loadscope-reorder

lint: $(VENV)/test.done
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/mypy --strict client/keywright
	$(BIN)/lint-imports

# No part of the server is needed, and no conftest; `addopts` of pyproject.toml leaves these tests out.
test-helm: $(VENV)-helm/done
	$(VENV)-helm/bin/python -m pytest --noconftest -o addopts="-q --strict-markers --strict-config -p no:cacheprovider" tests/helm

$(VENV)-helm/done: requirements-helm.lock
	$(PYTHON) -m venv $(VENV)-helm
	$(VENV)-helm/bin/python -m pip --disable-pip-version-check install --quiet --no-deps --require-hashes -r requirements-helm.lock
	touch $@

bench: $(VENV)/test.done
	$(BIN)/python -m bench $(BENCH)

# SECONDS has a default for the demo; the soak has one of its own.
torture: $(VENV)/test.done
	$(BIN)/python -m tests.torture --seconds $(if $(filter file,$(origin SECONDS)),120,$(SECONDS)) --seed $(or $(SEED),1)

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/demo.done: requirements.lock pyproject.toml client/pyproject.toml | $(BIN)/python
	$(PIP) --no-deps --require-hashes -r requirements.lock
	$(PIP) --no-deps --no-build-isolation -e . -e client
	touch $@

$(VENV)/test.done: requirements-test.lock pyproject.toml client/pyproject.toml | $(BIN)/python
	$(PIP) --no-deps --require-hashes -r requirements-test.lock
	$(PIP) --no-deps --no-build-isolation -e . -e client
	touch $@ $(VENV)/demo.done

lock: | $(BIN)/python
	$(PIP) uv
	UV_PYTHON_DOWNLOADS=never $(BIN)/uv pip compile -q --upgrade --universal --generate-hashes --no-header --extra demo pyproject.toml client/pyproject.toml -o requirements.lock
	UV_PYTHON_DOWNLOADS=never $(BIN)/uv pip compile -q --upgrade --universal --generate-hashes --no-header --extra demo --extra test -c requirements.lock pyproject.toml client/pyproject.toml -o requirements-test.lock
	UV_PYTHON_DOWNLOADS=never $(BIN)/uv pip compile -q --upgrade --universal --generate-hashes --no-header --group helm -c requirements-test.lock -o requirements-helm.lock

clean:
	rm -rf $(VENV) $(VENV)-helm build dist *.egg-info client/*.egg-info .mypy_cache .ruff_cache .import_linter_cache
