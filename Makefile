PYTHON ?= python3
BIN := .venv/bin

.PHONY: app test lint bench

app: .venv/app        ## open losslab in a browser
	$(BIN)/streamlit run app.py

test: .venv/dev       ## run every test
	$(BIN)/pytest -n 2 --dist loadfile

lint: .venv/dev       ## style and imports
	$(BIN)/ruff check . && $(BIN)/ruff format --check .

bench: .venv/dev      ## measure, side by side with the peers
	$(BIN)/python -m benchmarks

.venv/app: requirements.txt
	test -d .venv || $(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --requirement requirements.txt
	touch $@

.venv/dev: requirements-dev.txt .venv/app
	$(BIN)/pip install --quiet --requirement requirements-dev.txt
	touch $@
