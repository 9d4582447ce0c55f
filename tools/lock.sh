#!/bin/sh
# Resolves pyproject.toml anew into requirements/*.txt (exact versions with hashes, no index address).
set -eu
cd "$(dirname "$0")/.."
uv=$(command -v uv || echo .tools/bin/uv)
compile() {
  "$uv" pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links \
    --custom-compile-command "make lock" "$@"
}
compile pyproject.toml --group build --output-file requirements/run.txt
compile pyproject.toml --group dev --output-file requirements/dev.txt
compile pyproject.toml --group dev --group bench --output-file requirements/bench.txt
compile --group pyproject.toml:packages --output-file requirements/packages.txt
