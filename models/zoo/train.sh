#!/usr/bin/env bash
# train.sh BIN CLIPS OUT: trains the shipped model again by its recipe and seed,
# and prints its figures on the held-out part. The model lands in OUT/run.
set -euo pipefail
bin=$1 clip=$2/vtest.avi out=$3
here=$(cd "$(dirname "$0")" && pwd)
rm -rf "$out/run" "$out/data"
"$bin" prepare --extract edges --size 144x192 --holdout 0.1 "$clip" -o "$out/data"
"$bin" train --data "$out/data" --out "$out/run" --config "$here/vtest-edges.toml"
bash "$here/eval.sh" "$bin" "$clip" "$out" "$out/run/model.safetensors"
echo "The model: $out/run/model.safetensors"
