#!/usr/bin/env bash
# Runs the fast tests with the lowest versions of direct dependencies that pyproject.toml allows.
# Needs uv. Deprecations that older packages meet in newer ones of others are not errors here.
set -eu
cd "$(dirname "$0")/.."
venv=${VENV:-.venv-lowest}
uv venv --python "${PYTHON:-python3}" "$venv"
uv pip install --python "$venv/bin/python" --resolution lowest-direct -e '.[dev]'
"$venv/bin/python" -m pytest -W ignore::DeprecationWarning "$@"
