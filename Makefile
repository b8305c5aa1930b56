# Every target is one line that also works by hand.

.PHONY: demo test lint docs bench

.venv/.stamp: pyproject.toml
	python3 -m venv .venv && .venv/bin/python -m pip install -q -e ".[test,tested,docs,dev]" && touch .venv/.stamp

demo: .venv/.stamp
	.venv/bin/python -m skdeep demo

test: .venv/.stamp
	.venv/bin/python -m pytest -n auto

lint: .venv/.stamp
	.venv/bin/ruff format --check . && .venv/bin/ruff check .

docs: .venv/.stamp
	.venv/bin/python -m sphinx -W --keep-going -b html docs docs/_build/html

bench: .venv/.stamp
	.venv/bin/python -m pip install -q -e ".[tested,bench]" && .venv/bin/python benchmarks/run_all.py
