#!/usr/bin/env bash
# Tests the tap against the newest or the oldest versions of what it needs, in a new environment:
# scripts/unit.sh 3.12 lowest-direct [PATH OF THE INTERPRETER]
# Runs the tests that need no service; elsewhere than on Linux only those in process.
# OVERRIDE='singer-sdk>=0.55.0a0' tries the newest version, even a pre-release and even one that
# pyproject.toml does not allow.
set -euo pipefail
cd "$(dirname "$0")/.."
version=$1
resolution=$2
python=${3:-$version}
uv=${UV:-uv}

folders=(tests/unit)
[ "$(uname -s)" != Linux ] || folders+=(tests/process)

venv=.venv-$version-$resolution
"$uv" venv --quiet --clear --python "$python" "$venv"
override=()
if [ -n "${OVERRIDE:-}" ]; then
  echo "$OVERRIDE" > "$venv/override.txt"
  override=(--override "$venv/override.txt" --prerelease allow)
fi
# Only the tap's own requirements may be old: its tests may have what they like.
"$uv" pip compile --quiet --python "$venv" --resolution "$resolution" ${override[@]+"${override[@]}"} \
  --output-file "$venv/constraints.txt" pyproject.toml
"$uv" pip install --quiet --python "$venv" --constraint "$venv/constraints.txt" \
  ${override[@]+"${override[@]}"} \
  --group unit --editable .
bin=$venv/bin
[ -d "$bin" ] || bin=$venv/Scripts
"$bin/python" -m pytest -n auto --dist worksteal -p no:cacheprovider "${folders[@]}"
