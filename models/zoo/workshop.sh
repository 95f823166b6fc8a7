#!/usr/bin/env bash
# workshop.sh BIN CLIPS OUT: what is a GAN, and what becomes of the same pictures
# without one? Trains each network below on the frames of a clip for as many
# steps, and leaves one sheet that compares them, a grid of made pictures and
# two walks; and a pix2pix that colours the same frames, with a strip of those
# that training never saw: grey, generated, real. Every tenth frame is kept from the
# networks of pictures, which are measured against those too, and the clip's end
# from all. STEPS, SIZE and COLOUR_STEPS may be set; training writes to OUT/NAME.log.
set -euo pipefail
bin=$1 clip=$2/Megamind.avi out=$3
steps=${STEPS:-5000} size=${SIZE:-32} colour_steps=${COLOUR_STEPS:-2500}
pairs=$out/pairs held=$(basename "${clip%.*}") # the clip's name in the folders of pairs

# A network a line: its name, and what differs from its defaults. The GAN has
# few pictures to learn from, so its discriminator is kept from learning them
# by heart, and its judgement unsure. Codes are short: of a code as long as by
# default a perceptron could give back every picture. The slowest come first: two
# train at a time, a core each, for they are too small to share two. pix2pix (unet)
# makes pictures of others, not of codes, so its figures are PSNR to the real
# frames and its sheet is its own; five levels and a quarter of the published
# width learn to colour within two minutes: chroma PSNR 34.6 dB on the clip's held-out
# end, where grey has 23.3 dB.
networks=(
	'unet generator.ngf=16 generator.num_downs=5 discriminator.ndf=16'
	'gan generator.width=32 discriminator.width=32 generator.code=32 lr=6e-4 real_label=0.9 augment=["color","translation"]'
	'deconv generator.width=32 generator.code=16'
	'mlp generator.width=256 generator.code=16'
	'perceptron generator.code=16'
)

train() { # NAME KEY=VALUE...
	local name=$1 set=() what=(--data "$out/frames" --size "${size}x$size" --steps "$steps")
	if [ "$name" = unet ]; then what=(--data "$pairs" --steps "$colour_steps"); fi
	shift
	for kv in "$@"; do set+=(--set "$kv"); done
	"$bin" train --model "$name" "${what[@]}" --out "$out/$name" --threads 1 "${set[@]}" >"$out/$name.log" 2>&1 &
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
"$bin" prepare --extract gray --size 96x128 "$clip" -o "$pairs" >"$out/prepare.log" 2>&1 || { cat "$out/prepare.log" >&2; exit 1; }
mkdir "$out/frames" "$out/held"
n=0
for f in "$pairs/train_B/$held"/*.png; do
	if ((n++ % 10 == 5)); then cp "$f" "$out/held"; else cp "$f" "$out/frames"; fi
done
pids=()
for line in "${networks[@]}"; do
	read -ra words <<<"$line"
	if [ "${words[0]}" != unet ]; then
		runs=("$out/${words[0]}" "${runs[@]}") # the simplest first
	fi
	if ((${#pids[@]} == 2)); then # wait for whichever is done first
		wait -n
		mapfile -t pids < <(jobs -pr)
	fi
	train "${words[@]}" &
	pids+=($!)
done
for _ in "${pids[@]}"; do wait -n; done

echo "2. compare: the same step of each"
"$bin" compare "${runs[@]}" --held "$out/held" -o "$out/sheet.png" | tee "$out/figures.txt"
awk '$2 == "drawn" || $2 == "learned" { psnr[$1, $2] = $10; sharp[$1, $2] = $8 }
	END {
		gan = psnr["gan", "drawn"]
		told("the GAN is sharper than deconvolution", sharp["gan", "drawn"] > sharp["deconv", "learned"] && sharp["gan", "drawn"] > sharp["deconv", "drawn"])
		print "   nearer than the GAN to frames that training never saw is"
		told("   deconvolution of the codes it learned", psnr["deconv", "learned"] > gan)
		told("   deconvolution of codes that are drawn", psnr["deconv", "drawn"] > gan)
		print "   the farthest from them is"
		told("   the perceptron of the networks that learn codes", psnr["perceptron", "learned"] < psnr["mlp", "learned"] && psnr["perceptron", "learned"] < psnr["deconv", "learned"])
		told("   the perceptron of all, where codes are drawn", psnr["perceptron", "drawn"] < psnr["mlp", "drawn"] && psnr["perceptron", "drawn"] < psnr["deconv", "drawn"] && psnr["perceptron", "drawn"] < gan)
	}
	function told(what, is) { print "   " what ": " (is ? "yes" : "not in this run") }' "$out/figures.txt"
echo "   warnings while the GAN was trained: $(grep -c -e "wins:" -e "vanishes:" -e "mode collapse:" "$out/gan.log" || true)"

echo "3. sample: a grid, and walks from code to code"
"$bin" sample --model "$out/gan/model.safetensors" -n 64 --zoom 3 -o "$out/gan.png"
for name in gan deconv; do
	"$bin" sample --model "$out/$name/model.safetensors" --interpolate 150 --zoom 8 -o "$out/$name-walk.mp4"
done

echo "4. colour: frames that training never saw, first as they are in grey, then as pix2pix colours them"
"$bin" convert --model "$out/unet/model.safetensors" "$pairs/test_A/$held" -o "$out/coloured/"
"$bin" eval --fake "$pairs/test_A/$held" --real "$pairs/test_B/$held"
"$bin" eval --fake "$out/coloured" --real "$pairs/test_B/$held" --control "$pairs/test_A/$held" --sheet "$out/colour.png"
cat <<END

The comparison:   $out/sheet.png
GAN, 64 pictures: $out/gan.png
Colour:           $out/colour.png (grey, generated, real)
Walks:            $out/gan-walk.mp4, $out/deconv-walk.mp4
$((SECONDS - began)) seconds in all
END
