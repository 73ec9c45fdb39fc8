#!/usr/bin/env bash
# Runs the test suite, setting up all it needs: a virtual environment in .venv (reused where it is there), the package with its
# development tools. One process a core, each with whole files of tests. Further arguments go to pytest: tests/run.sh -k imagify;
# tests/run.sh -m slow -n 0, as some of the slow ones measure time.
set -euo pipefail
cd "$(dirname "$0")/.."
source recipes/environment.sh dev
exec "$VENV/bin/python" -m pytest -n auto --dist loadfile "$@"
