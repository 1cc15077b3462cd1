#!/usr/bin/env bash
# Tests the tap against the newest or the oldest versions of what it needs, in a new environment:
# .github/unit.sh 3.12 lowest-direct [PATH OF THE INTERPRETER]
# Runs without Meltano, databases and targets, so it runs anywhere.
set -euo pipefail
cd "$(dirname "$0")/.."
version=$1
resolution=$2
python=${3:-$version}
uv=${UV:-uv}

tests=(answers config prefetch records redaction windows)
if [ "$(uname -s)" = Linux ]; then # with real processes and sockets too
  tests+=(faults messages sdk state sync)
fi

venv=.venv-$version-$resolution
"$uv" venv --quiet --clear --python "$python" "$venv"
# Only the tap's own requirements may be old: its tests may have what they like.
"$uv" pip compile --quiet --python "$venv" --resolution "$resolution" \
  --output-file "$venv/constraints.txt" pyproject.toml
"$uv" pip install --quiet --python "$venv" --constraint "$venv/constraints.txt" \
  --group unit --editable .
files=("${tests[@]/#/tests/test_}")
files=("${files[@]/%/.py}")
bin=$venv/bin
[ -d "$bin" ] || bin=$venv/Scripts
"$bin/python" -m pytest -n auto -p no:cacheprovider "${files[@]}"
