# On Linux, PyPI's torch is the CUDA build. For the small CPU build add, to any of these commands,
#   PIP_EXTRA_INDEX_URL=https://download.pytorch.org/whl/cpu

VENV := .venv
BIN := $(VENV)/bin
OUT := out
DEMO := examples/llama_demo/llama_demo.pt
PYTEST_ARGS := --numprocesses=auto --maxprocesses=8 --durations=10

# The first interpreter that is new enough.
NEW_ENOUGH := import sys; sys.exit(sys.version_info < (3, 11))
PYTHON ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11; do \
	"$$p" -c '$(NEW_ENOUGH)' 2>/dev/null && echo "$$p" && break; done)

.DEFAULT_GOAL := help
.PHONY: help demo test lint types unit zoo generated clean

help:
	@echo "make demo       install into $(VENV) and transpile a small Llama to $(OUT)/, with validation"
	@echo "make test       install into $(VENV) and run lint, formatting, type checks and all tests"
	@echo "make generated  write generated/ again, after a change in what is emitted"
	@echo "make zoo        tests on library models (needs transformers; see CONTRIBUTING.md)"
	@echo "make clean      remove what these commands made"

demo: $(VENV)/.installed-demo
	$(BIN)/transpile $(DEMO) -o $(OUT) --validate
	@echo
	@sed -n '3p; /^| sizes/,/^$$/p' $(OUT)/report.md
	@echo "$(OUT)/model.py has $$(wc -l < $(OUT)/model.py) lines; its classes:"
	@grep -n '^class ' $(OUT)/model.py
	@echo
	@echo "It begins with:"
	@head -n 60 $(OUT)/model.py | sed 's/^/    /'
	@echo
	@echo "Where to look:"
	@echo "    $(OUT)/model.py          the model, in MLX only"
	@echo "    $(OUT)/remap_weights.py  how the checkpoint's tensors are carried over"
	@echo "    $(OUT)/report.md         how far it is from the source, module by module"
	@echo "    $(OUT)/manifest.json     inputs, dims and their evidence, options"
	@echo "Run it:  $(BIN)/python $(OUT)/test_model.py"

test: lint types unit

lint: $(VENV)/.installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

# The folders make up one package only once installed, so the checker reads an installed wheel.
types: $(VENV)/.installed-dev
	rm -rf build
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --target build/wheel .
	cd build/wheel && ../../$(BIN)/mypy --config-file ../../pyproject.toml \
		--cache-dir ../../.mypy_cache -p mlx_transpile
	cd build/wheel && PYTHONPATH=. ../../$(BIN)/python -m mlx_transpile.cli --help > /dev/null

unit: $(VENV)/.installed-dev
	$(BIN)/pytest $(PYTEST_ARGS)

zoo: $(VENV)/.installed-dev
	$(BIN)/pytest $(PYTEST_ARGS) -m zoo

generated: $(VENV)/.installed-dev
	$(BIN)/python generated/regenerate.py

clean:
	rm -rf $(VENV) $(OUT) build dist *.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis

$(VENV)/.installed-demo: EXTRAS := torch
$(VENV)/.installed-dev: EXTRAS := torch,onnx,dev
$(VENV)/.installed-%: pyproject.toml constraints.txt
	@test -n "$(PYTHON)" || { echo "Python 3.11 or later is needed: make PYTHON=/path/to/python3" >&2; exit 1; }
	test -x $(BIN)/python || "$(PYTHON)" -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[$(EXTRAS)]'
	@touch $@
