#!/bin/sh
# Makes the virtual environment of a checkout from the lock file. Usage: setup-checkout.sh VENV
set -eu
venv=$1
here=$(dirname "$0")

say() { printf '%s\n' "$*" >&2; }

python=$(command -v python3.11 || command -v python3 || true)
if [ -z "$python" ]; then
    sh "$here/system-packages.sh" python3
    python=python3
fi
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || {
    say "Python 3.11 or later is needed, $("$python" --version) was found. 需要 Python 3.11 或更高版本。"
    exit 1
}
"$python" -c 'import ensurepip, venv' 2>/dev/null || sh "$here/system-packages.sh" python3-venv

say "Setting up $venv (first time only, one to two minutes) … 正在准备运行环境（仅首次，约一两分钟）……"
"$python" -m venv "$venv"
"$venv/bin/python" -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.lock
"$venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
