#!/bin/sh
# Installs the service on a Debian 12 gateway, into a virtual environment of its own. Run as root:
#     sh deploy/install.sh dist/substation_edge-*.whl     install, or upgrade
#     sh deploy/install.sh --back                         return to the version before
# ROOT=/some/folder installs below that folder (images, tests).
# WHEELS=/some/folder takes the packages from there instead of the network
# (fill it where there is one: pip download -r requirements.lock -d wheels).
#
# Two places, a and b, take turns: a new version is built in the one that is not in use, then a link is
# switched in one step. A broken download or a power cut leaves the old version working.
set -eu
name=substation-edge
here=$(cd "$(dirname "$0")" && pwd)
lock=$here/../requirements.lock

die() { printf '%s\n' "$*" >&2; exit 1; }

[ $# -eq 1 ] || die "usage: install.sh WHEEL | --back   (one wheel: make wheel)"
[ "$1" = --back ] || case $1 in
    *.whl) [ -f "$1" ] || die "$1: no such file (build one with: make wheel)" ;;
    *) die "$1: not a wheel (build one with: make wheel)" ;;
esac
ROOT=${ROOT:-}
if [ -n "$ROOT" ]; then
    mkdir -p "$ROOT"
    ROOT=$(cd "$ROOT" && pwd)
elif [ "$(id -u)" -ne 0 ]; then
    die "install.sh writes to /usr and /etc: run it as root"
fi
link=$ROOT/usr/lib/$name
places=$link.d
[ -L "$link" ] || [ ! -e "$link" ] || die "$link is not a link of this installer: move it away"

case $(readlink "$link" || true) in
    */a) next=b ;;
    *) next=a ;;
esac
place=$places/$next

switch() {
    sync  # what the link is going to name must be on the disk first
    ln -sfn "$name.d/$next" "$link.new"
    mv -T "$link.new" "$link"
}

restart() {
    [ -z "$ROOT" ] && [ -d /run/systemd/system ] || return 0
    systemctl daemon-reload
    systemctl try-restart "$name" || die "The new version does not come up: journalctl -u $name; back: install.sh --back"
}

if [ "$1" = --back ]; then
    [ -f "$place/.complete" ] || die "there is no version to go back to in $place"
    switch
    restart
    echo "Back on $("$place/bin/python" -I -m pip list --format=freeze 2>/dev/null | grep "^$name==")."
    exit 0
fi

[ -f "$lock" ] || die "requirements.lock must stand beside deploy/: it pins what is installed, with hashes"
[ -n "$ROOT" ] || sh "$here/system-packages.sh" python3 python3-venv
python=${PYTHON:-python3}
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || die "Python 3.11 or later is needed"

fetch() {
    "$place/bin/python" -m pip install --quiet --disable-pip-version-check \
        ${WHEELS:+--no-index --find-links "$WHEELS"} "$@" || die "Not installed; nothing was changed."
}

rm -rf "$place"
mkdir -p "$places"
"$python" -m venv "$place"
fetch --require-hashes -r "$lock"
fetch --no-deps "$1"
# pip's own script names the interpreter by its path; this one finds it beside itself, wherever it is moved to.
cat >"$place/bin/$name" <<'EOT'
#!/bin/sh
exec "$(dirname "$(readlink -f "$0")")/python" -I -m edge "$@"
EOT
site=$ROOT/etc/$name/site.toml
if [ -f "$site" ]; then
    "$place/bin/$name" check "$site" || die "The new version refuses $site; nothing was changed."
else
    "$place/bin/$name" check --help >/dev/null || die "The new version does not start; nothing was changed."
fi

doc=$ROOT/usr/share/doc/$name
install -d "$ROOT/usr/lib/systemd/system" "$ROOT/usr/lib/sysusers.d" "$ROOT/usr/lib/tmpfiles.d" "$ROOT/usr/local/bin" "$doc"
install -d -m 0750 "$ROOT/etc/$name"
install -m 0644 "$here/$name.service" "$ROOT/usr/lib/systemd/system/$name.service"
install -m 0644 "$here/$name.sysusers" "$ROOT/usr/lib/sysusers.d/$name.conf"
install -m 0644 "$here/$name.tmpfiles" "$ROOT/usr/lib/tmpfiles.d/$name.conf"
install -m 0644 "$here/../docs/operator.md" "$here/../docs/record.md" "$here/99-$name.rules" "$here/mosquitto.example.conf" "$doc"
install -m 0644 "$place"/lib/python3*/site-packages/edge/_config/sites/demo.toml "$doc/site.example.toml"
ln -sfn "../../lib/$name/bin/$name" "$ROOT/usr/local/bin/$name"
: >"$place/.complete"
switch

if [ -z "$ROOT" ]; then
    systemd-sysusers "$name.conf"
    systemd-tmpfiles --create "$name.conf"
fi
restart
cat <<EOT
Installed. Next (the guide: /usr/share/doc/$name/operator.md):
  1. write /etc/$name/site.toml     (example: /usr/share/doc/$name/site.example.toml)
  2. $name check /etc/$name/site.toml
  3. systemctl enable --now $name
EOT
