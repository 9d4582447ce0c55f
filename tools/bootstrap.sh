#!/bin/sh
# Installs what the project needs into its own folder: uv into .tools, the locked packages into .venv.
# An argument chooses the packages: dev (the default), run, or bench (which has the product compared with).
# Needs Python 3.11 or later with venv or pip; says what to install where both are missing.
set -eu
cd "$(dirname "$0")/.."

say() { printf '%s\n' "tabellion: $*" >&2; }

python=${PYTHON:-python3}
command -v "$python" >/dev/null 2>&1 || { say "python3 was not found; install Python 3.11 or later"; exit 1; }
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || {
  say "$($python --version) is too old; Python 3.11 or later is needed (PYTHON=/path/to/python3 make ...)"; exit 1; }

if command -v uv >/dev/null 2>&1; then
  uv=uv
elif [ -x .tools/bin/uv ]; then
  uv=.tools/bin/uv
elif "$python" -m venv .tools >/dev/null 2>&1 && .tools/bin/python -m pip install --quiet uv >/dev/null 2>&1; then
  uv=.tools/bin/uv
elif "$python" -m pip --version >/dev/null 2>&1; then
  rm -rf .tools
  "$python" -m pip install --quiet --target .tools/lib uv && mkdir -p .tools/bin && ln -sf ../lib/bin/uv .tools/bin/uv
  uv=.tools/bin/uv
else
  rm -rf .tools
  say "this Python has neither venv nor pip (Debian: apt-get install python3-venv)"; exit 1
fi

# pip takes the system's certificates, uv its own: a company's authority is among the first.
for bundle in /etc/ssl/certs/ca-certificates.crt /etc/pki/tls/certs/ca-bundle.crt /etc/ssl/cert.pem; do
  [ ! -s "$bundle" ] || export UV_SYSTEM_CERTS="${UV_SYSTEM_CERTS:-true}"
done
[ -x .venv/bin/python ] || "$uv" venv --quiet --python "$python" .venv
say "installing the locked packages into .venv"
# A server often runs as a user who may not write here, and would compile what it imports at every start of a process.
if [ "${1:-dev}" = run ]; then export UV_COMPILE_BYTECODE=1; fi
"$uv" pip sync --quiet --python .venv/bin/python --require-hashes "requirements/${1:-dev}.txt"
"$uv" pip install --quiet --python .venv/bin/python --no-deps --no-build-isolation --editable .
# Python 3.11 reads this file in the encoding of the locale: a whole path with letters beyond it would end every start.
for source in .venv/lib/python3*/site-packages/_editable_impl_tabellion.pth; do echo ../../../../src >"$source"; done
# What a server needs is less than `make setup` promises.
if [ "${1:-dev}" = run ]; then
  rm -f .venv/.ready
  .venv/bin/python -m compileall -q src
  # A closed umask, now or when uv filled its cache, would keep the server's user out.
  chmod -R go+rX .venv src
else
  touch .venv/.ready
fi
