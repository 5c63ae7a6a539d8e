#!/bin/sh
# Installs the named Debian packages that are missing; a package already there costs nothing.
set -eu
missing=""
for package in "$@"; do
    dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'install ok installed' || missing="$missing $package"
done
[ -n "$missing" ] || exit 0

as_root=""
if [ "$(id -u)" -ne 0 ]; then
    as_root=$(command -v sudo) || {
        echo "Debian packages are missing:$missing. Install them as root: apt-get install$missing" >&2
        exit 1
    }
fi
echo "Installing Debian packages:$missing" >&2
export DEBIAN_FRONTEND=noninteractive
# A package that brings a daemon must not start it here: the tests start their own on free ports.
$as_root apt-get update -q >/dev/null
# shellcheck disable=SC2086  # the list is meant to split
$as_root apt-get install -y -q --no-install-recommends $missing >/dev/null || {
    echo "apt-get could not install:$missing" >&2
    exit 1
}
