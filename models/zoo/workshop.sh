#!/usr/bin/env bash
# workshop.sh BIN CLIPS OUT: what is a GAN, and what becomes of the same pictures
# without one? Trains each network below on the frames of a clip for as many
# steps, and leaves one sheet that compares them, a grid of made pictures and
# two walks. STEPS and SIZE may be set; training writes to OUT/NAME.log.
set -euo pipefail
bin=$1 clip=$2/Megamind.avi out=$3
steps=${STEPS:-5000} size=${SIZE:-32}

# A network a line: its name, and what differs from its defaults. The GAN has
# few pictures to learn from, so its discriminator is kept from learning them
# by heart, and its judgement unsure. Codes are short: of a code as long as by
# default a perceptron could give back every picture. The slowest come first: two
# train at a time, a core each, for they are too small to share two. Networks
# that learn from pairs, as pix2pix does, make pictures of others, not of codes.
networks=(
	'gan generator.width=32 discriminator.width=32 generator.code=32 lr=6e-4 real_label=0.9 augment=["color","translation"]'
	'deconv generator.width=32 generator.code=16'
	'mlp generator.width=256 generator.code=16'
	'perceptron generator.code=16'
)

train() { # NAME KEY=VALUE...
	local name=$1 set=()
	shift
	for kv in "$@"; do set+=(--set "$kv"); done
	"$bin" train --model "$name" --data "$clip" --out "$out/$name" --size "${size}x$size" --steps "$steps" \
		--threads 1 "${set[@]}" >"$out/$name.log" 2>&1 &
	trap "kill $!" TERM
	if ! wait $!; then
		cat "$out/$name.log" >&2
		return 1
	fi
	echo "   $name: $(tail -n 1 "$out/$name.log")"
}

rm -rf "$out"
mkdir -p "$out"
trap 'kill $(jobs -pr) 2>/dev/null || true' EXIT # a network that fails takes the other with it
began=$SECONDS runs=()
echo "1. train: $steps steps of each network on the frames of $(basename "$clip"), $size pixels square"
pids=()
for line in "${networks[@]}"; do
	read -ra words <<<"$line"
	runs=("$out/${words[0]}" "${runs[@]}") # the simplest first
	if ((${#pids[@]} == 2)); then # wait for whichever is done first
		wait -n
		mapfile -t pids < <(jobs -pr)
	fi
	train "${words[@]}" &
	pids+=($!)
done
for _ in "${pids[@]}"; do wait -n; done

echo "2. compare: the same step of each"
"$bin" compare "${runs[@]}" -o "$out/sheet.png"

echo "3. sample: a grid, and walks from code to code"
"$bin" sample --model "$out/gan/model.safetensors" -n 64 --zoom 3 -o "$out/gan.png"
for name in gan deconv; do
	"$bin" sample --model "$out/$name/model.safetensors" --interpolate 150 --zoom 8 -o "$out/$name-walk.mp4"
done
cat <<END

The comparison:   $out/sheet.png
GAN, 64 pictures: $out/gan.png
Walks:            $out/gan-walk.mp4, $out/deconv-walk.mp4
$((SECONDS - began)) seconds in all
END
