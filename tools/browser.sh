#!/bin/sh
# The tests that look at pages need Debian's chromium; says so, and installs it where it may.
set -eu
command -v chromium >/dev/null 2>&1 && exit 0
say() { printf '%s\n' "tabellion: $*" >&2; }
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
  say "installing Debian's chromium, which the browser tests need"
  export DEBIAN_FRONTEND=noninteractive
  apt-get update -qq && apt-get install -y -qq --no-install-recommends chromium fonts-dejavu-core >/dev/null
else
  say "the browser tests need chromium; install it (Debian: apt-get install chromium)"; exit 1
fi
