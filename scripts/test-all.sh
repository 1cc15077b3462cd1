#!/usr/bin/env bash
# Runs, with each Python version of the classifiers that this machine has: the tests that need no
# service with the oldest and the newest dependencies, then all tests with the pinned ones.
set -euo pipefail
cd "$(dirname "$0")/.."
export UV=${UV:-uv}
# Where pyenv is, its shims find all versions only when they are told to.
pyenv=$(ls "${PYENV_ROOT:-$HOME/.pyenv}/versions" 2>/dev/null | paste -sd: - || true)

versions=$(sed -n 's/.*"Programming Language :: Python :: \(3\.[0-9]*\)".*/\1/p' pyproject.toml)
tried=0
for version in $versions; do
  if ! python=$(PYENV_VERSION=$pyenv "$UV" python find --no-project --system "$version" 2>/dev/null)
  then
    echo "== Python $version is not on this machine"
    continue
  fi
  for resolution in lowest-direct highest; do
    echo "== Python $version, $resolution"
    scripts/unit.sh "$version" "$resolution" "$python"
  done
  echo "== Python $version, all tests"
  make test PYTHON="$python" VENV=".venv-$version"
  tried=$((tried + 1))
done
[ "$tried" -gt 0 ]
