#!/bin/sh
# Some tests need Debian's own programs: chromium for pages, OpenSSH's server for file transfers. Says which are missing, and
# installs them where it may.
set -eu
missing=
need() { # program, packages
  command -v "$1" >/dev/null 2>&1 || [ -x "/usr/sbin/$1" ] || missing="$missing $2"
}
need chromium "chromium fonts-dejavu-core"
need sshd openssh-server
[ -n "$missing" ] || exit 0
say() { printf '%s\n' "tabellion: $*" >&2; }
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
  say "installing from Debian, for the tests:$missing"
  export DEBIAN_FRONTEND=noninteractive
  # shellcheck disable=SC2086 - a list of packages
  apt-get update -qq && apt-get install -y -qq --no-install-recommends $missing >/dev/null
else
  say "some tests need what this machine does not have; install it (Debian: apt-get install$missing)"; exit 1
fi
