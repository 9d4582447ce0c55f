#!/bin/sh
# Some tests need Debian's own programs: chromium for pages, OpenSSH's server for file transfers, Postfix for mails; the benchmarks
# of calls need wrk, and `make dkim` OpenDKIM. Says which are missing, and installs them where it may. An argument: only the package
# with this program.
set -eu
missing=
only=${1:-}
need() { # program, packages
  [ -z "$only" ] || [ "$only" = "$1" ] || return 0
  command -v "$1" >/dev/null 2>&1 || [ -x "/usr/sbin/$1" ] || missing="$missing $2"
}
need chromium "chromium fonts-dejavu-core"
need sshd openssh-server
need smtp-sink postfix
# For those alone who ask for them.
case $only in wrk | opendkim) need "$only" "$only" ;; esac
[ -n "$missing" ] || exit 0
say() { printf '%s\n' "tabellion: $*" >&2; }
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
  say "installing from Debian:$missing"
  export DEBIAN_FRONTEND=noninteractive
  # Postfix without a configuration: nothing is started, and the machine's mail is nobody's business here.
  if command -v debconf-set-selections >/dev/null 2>&1; then
    echo "postfix postfix/main_mailer_type select No configuration" | debconf-set-selections
  fi
  # shellcheck disable=SC2086 - a list of packages
  apt-get update -qq && apt-get install -y -qq --no-install-recommends $missing >/dev/null
else
  say "what this needs is not on this machine; install it (Debian: apt-get install$missing)"; exit 1
fi
