#!/usr/bin/env bash
# Disturbs prepare, sample, train and benchmark in every way that tests/faults knows, gives each command again, compares with an
# undisturbed one bit by bit, and prints how many were survived. Sets up all it needs. About 40 minutes on two cores; as root it also
# fills up and locks disks. Arguments go on: recipes/faults.sh --moments 5 --faults SIGKILL --stages train
set -euo pipefail
cd "$(dirname "$0")/.."
source recipes/environment.sh dev
exec "$VENV/bin/python" -m tests.faults "$@"
