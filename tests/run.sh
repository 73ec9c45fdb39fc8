#!/usr/bin/env bash
# Runs the test suite, setting up all it needs: a virtual environment in .venv (reused where it is there), the package with its
# development tools. Further arguments go to pytest: tests/run.sh -m slow, tests/run.sh -k imagify.
set -euo pipefail
cd "$(dirname "$0")/.."
source recipes/environment.sh dev
exec "$VENV/bin/python" -m pytest "$@"
