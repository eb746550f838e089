# `make check` and `make test` use .venv if it is there; README.md and CONTRIBUTING.md give the commands without make.
PYTHON := $(if $(wildcard .venv/bin/python),.venv/bin/python,python3)

.PHONY: check format quick test serve documents

check: ## lint, format, types, JavaScript: what CI checks beside the tests
	PYTHON="$(PYTHON)" .ci/checks

format: ## repairs what ruff can repair
	"$(PYTHON)" -m ruff check --fix .
	"$(PYTHON)" -m ruff format .

quick: ## the quick test round
	"$(PYTHON)" -m pytest -m "not slow and not browser"

test: ## all tests
	"$(PYTHON)" -m pytest -n 2 --dist loadfile

serve: ## the app on the embedded model
	"$(PYTHON)" app.py

documents: ## writes the blocks of docs/ and the schemas that come out of the code
	"$(PYTHON)" tests/helpers/documents.py
	"$(PYTHON)" -m halluapp.report
