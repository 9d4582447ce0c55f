#!/bin/sh
# Tells of the locked packages of a server: `sbom` writes sbom.json (CycloneDX), `audit` asks for known vulnerabilities.
# The tools have an environment of their own, so that they are none of what they tell of.
set -eu
cd "$(dirname "$0")/.."
uv=$(command -v uv || echo .tools/bin/uv)
own=.tools/packages
[ -x $own/bin/python ] || "$uv" venv --quiet $own
"$uv" pip sync --quiet --python $own/bin/python --require-hashes requirements/packages.txt
case $1 in
sbom)
  # The tool knows no versions that are read from a file.
  version=$(sed -n 's/^__version__ = "\(.*\)"$/\1/p' src/tabellion/__init__.py)
  sed "s/^dynamic = .*/version = \"$version\"/" pyproject.toml >$own/pyproject.toml
  PYTHONWARNINGS=ignore::UserWarning $own/bin/cyclonedx-py requirements requirements/run.txt --pyproject $own/pyproject.toml \
    --mc-type application --output-reproducible --output-format JSON --output-file sbom.json
  echo "$(pwd)/sbom.json" ;;
audit)
  # Without --strict it is content when nobody knows a package.
  $own/bin/pip-audit --strict --require-hashes --disable-pip --requirement requirements/run.txt ;;
esac
