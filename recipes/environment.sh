# Sourced by the scripts: makes the virtual environment and installs the package, unless both are there already.
# Arguments: extras to install (dev). Sets VENV. PYTHON names the interpreter (python3), MMTSA_VENV the place (.venv).
VENV="${MMTSA_VENV:-$PWD/.venv}"
extras="${1:+[$1]}"
stamp="$VENV/.mmtsa-installed${1:+-$1}"
if [ ! -x "$VENV/bin/python" ]; then
    echo "environment: making $VENV" >&2
    "${PYTHON:-python3}" -m venv "$VENV"
fi
if [ ! -f "$stamp" ] || [ setup.cfg -nt "$stamp" ] || [ pyproject.toml -nt "$stamp" ]; then
    echo "environment: installing mmtsa$extras (the first time it downloads torch)" >&2
    "$VENV/bin/python" -m pip install --quiet --disable-pip-version-check --editable ".$extras"
    touch "$stamp" "$VENV/.mmtsa-installed"
fi
