#!/usr/bin/env bash
# demo.sh BIN CLIPS OUT: converts what training never saw of a real clip, runs a
# batch of three clips, and says where the pictures are.
set -euo pipefail
bin=$1 clip=$2/vtest.avi out=$3
here=$(cd "$(dirname "$0")" && pwd)
model=$here/vtest-edges.safetensors
first=716 # of vtest.avi's 795 frames; the ones before are the training part

mkdir -p "$out"
echo "1. convert: edges of the held-out part of vtest.avi -> video"
"$bin" convert --model "$model" --extract edges --size 144x192 --start $first --overwrite "$clip" -o "$out/vtest.mp4"

echo "2. batch: three clips in a folder"
rm -rf "$out/clips" "$out/batch"
mkdir -p "$out/clips/street"
cut() { ffmpeg -nostdin -loglevel error -y -i "$clip" -vf "trim=start_frame=$1:end_frame=$2,setpts=PTS-STARTPTS" -c:v ffv1 "$3"; }
cut 716 741 "$out/clips/one.mkv"
cut 741 766 "$out/clips/two.mkv"
cut 766 791 "$out/clips/street/three.mkv"
"$bin" batch --model "$model" --extract edges --size 144x192 "$out/clips" -o "$out/batch"

echo "3. eval: against the real frames"
bash "$here/eval.sh" "$bin" "$clip" "$out" "$model"
cat <<END

The video:                 $out/vtest.mp4
Input, generated, real:    $out/sheet.png
The batch:                 $out/batch/
END
