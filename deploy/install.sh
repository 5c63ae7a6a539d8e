#!/bin/sh
# Installs the service on a Debian 12 gateway, into a virtual environment of its own. Run as root:
#     sh deploy/install.sh dist/substation_edge-*.whl
# Running it again upgrades. ROOT=/some/folder installs below that folder (images, tests).
set -eu
ROOT=${ROOT:-}
prefix=/usr/lib/substation-edge
here=$(cd "$(dirname "$0")" && pwd)

die() { printf '%s\n' "$*" >&2; exit 1; }

[ $# -eq 1 ] && [ -f "$1" ] || die "usage: install.sh WHEEL (build one with: make wheel)"
[ -n "$ROOT" ] || [ "$(id -u)" -eq 0 ] || die "install.sh writes to /usr/lib and /etc: run it as root"
lock="$here/../requirements.lock"
[ -f "$lock" ] || die "requirements.lock must stand beside deploy/: it pins what is installed, with hashes"

[ -n "$ROOT" ] || sh "$here/system-packages.sh" python3 python3-venv
mkdir -p "$ROOT$prefix" "$ROOT/etc/substation-edge" "$ROOT/lib/systemd/system" "$ROOT/usr/lib/sysusers.d"
# A new environment beside the old one, then one switch: a broken download leaves the old one working.
rm -rf "$ROOT$prefix.new"
"${PYTHON:-python3}" -m venv "$ROOT$prefix.new"
"$ROOT$prefix.new/bin/python" -m pip install --quiet --disable-pip-version-check --require-hashes -r "$lock"
"$ROOT$prefix.new/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps "$1"
# Scripts in bin/ name the interpreter by its path: make them name the place they are going to.
sed -i "1s|$ROOT$prefix.new|$prefix|" "$ROOT$prefix.new"/bin/substation-edge
rm -rf "$ROOT$prefix.old"
mv "$ROOT$prefix" "$ROOT$prefix.old"
mv "$ROOT$prefix.new" "$ROOT$prefix"
rm -rf "$ROOT$prefix.old"
install -m 0644 "$here/../README.md" "$ROOT$prefix/README.md"
install -m 0644 "$here/substation-edge.service" "$ROOT/lib/systemd/system/substation-edge.service"
install -m 0644 "$here/substation-edge.sysusers" "$ROOT/usr/lib/sysusers.d/substation-edge.conf"

if [ -z "$ROOT" ]; then
    systemd-sysusers
    [ -d /run/systemd/system ] && systemctl daemon-reload
fi
cat <<EOT
Installed. Next:
  1. write /etc/substation-edge/site.toml     (examples: $prefix/lib/python3*/site-packages/edge/_config/sites)
  2. $prefix/bin/substation-edge check /etc/substation-edge/site.toml
  3. systemctl enable --now substation-edge
EOT
