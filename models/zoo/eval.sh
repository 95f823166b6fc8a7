#!/usr/bin/env bash
# eval.sh BIN CLIP OUT MODEL: figures of a model on the held-out part of vtest.avi.
set -euo pipefail
bin=$1 clip=$2 out=$3 model=$4
if [ ! -d "$out/data/test_A/vtest" ]; then
	"$bin" prepare --extract edges --size 144x192 --holdout 0.1 "$clip" -o "$out/data"
fi
"$bin" convert --model "$model" --overwrite "$out/data/test_A/vtest" -o "$out/frames/"
"$bin" eval --fake "$out/frames" --real "$out/data/test_B/vtest" --mask mog2 --mean "$out/data/train_B" \
	--control "$out/data/test_A/vtest" --sheet "$out/sheet.png"
