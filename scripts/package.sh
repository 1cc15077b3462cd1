#!/usr/bin/env bash
# Builds the package into a folder, the wheel from the source distribution, and inspects both:
# scripts/package.sh dist
set -euo pipefail
cd "$(dirname "$0")/.."
folder=$1
uv=${UV:-uv}
"$uv" build --quiet --clear --out-dir "$folder" .
"$uv" tool run --quiet twine@6.2.0 check --strict "$folder"/*.whl "$folder"/*.tar.gz
"$uv" tool run --quiet check-wheel-contents@0.6.3 "$folder"/*.whl
