#!/usr/bin/env bash
# learn.sh BIN CLIPS OUT: what does memory of the frames before buy? Trains vid2vid,
# and a per-frame pix2pix as wide, as long and with the same weights of its
# losses, on the first nine tenths of two clips: vtest.avi from its moving
# foreground, Megamind.avi from its edges. Prints the figures on the last tenths, with
# two baselines that learn nothing, and leaves strips of frames. MINUTES (15) of each
# training may be set, and ROWS to a pattern that the clips' names match. How many
# steps fit is measured first, at once for both networks (all clips have one
# size); STEPS="vid2vid:N pix2pix:M" states it, for a machine that others use too.
set -euo pipefail
bin=$(realpath "$1") clips=$2 out=$3
here=$(cd "$(dirname "$0")" && pwd)
minutes=${MINUTES:-15} only=${ROWS:-.}
mkdir -p "$out"

vid2vid=(--config "$here/learn.toml")
pix2pix=(--model pix2pixHD_global)
for kv in generator.{input_nc=1,ngf=16,n_downsample_global=3,n_blocks_global=4,norm=batch} discriminator.{ndf=16,num_d=2,rate=0.33} \
	gan=0.12 features=1.2 l1=150 lr=5e-4 flip=false seed=1; do
	pix2pix+=(--set "$kv")
done

# speed PROBE MINUTES: steps that fit, by the steps of a short run after its first.
speed() {
	awk -v m="$2" 'match($0, /"step":[0-9]+/) { s = substr($0, RSTART + 7, RLENGTH - 7) }
		match($0, /"spent":[0-9.]+/) { t = substr($0, RSTART + 8, RLENGTH - 8); if (!t0) { s0 = s; t0 = t } }
		END { printf "%d", m * 60 * (s - s0) / (t - t0) }' "$1/metrics.jsonl"
}

steps() { # steps NET DATA: that fit into the minutes
	local -n options=$1
	local probe=$out/probe n=200
	[ "$1" = vid2vid ] || n=800
	rm -rf "$probe"
	"$bin" train --data "$2" --out "$probe" "${options[@]}" --steps $n --set "constant=$((n / 2))" >"$probe.log" 2>&1
	speed "$probe" "$minutes"
	rm -rf "$probe" "$probe.log"
}

train() { # train DATA RUN STEPS OPTIONS...
	local data=$1 run=$2 steps=$3 began=$SECONDS
	shift 3
	rm -rf "$run"
	"$bin" train --data "$data" --out "$run" "$@" --steps "$steps" --set "constant=$((steps / 2))" --set checkpoint_steps=1000 --set sheet_steps=1000 >"$run.log" 2>&1
	echo "$(basename "$run"): $steps steps, $((SECONDS - began)) s" >&2
}

field() { # field NAME < JSON
	grep -o "\"$1\":[-0-9.e]*" | head -n 1 | cut -d: -f2
}

row() { # row NAME FAKE REAL: of the table
	local json
	json=$("$bin" eval --fake "$2" --real "$3" --mask mog2 --json | tail -n 1)
	printf '%-34s %8.2f dB %8.2f dB %9.2f\n' "$1" "$(field psnr <<<"$json")" "$(field psnr_foreground <<<"$json")" \
		"$(awk -v f="$(field warp_error <<<"$json")" -v r="$(field real_warp_error <<<"$json")" 'BEGIN { print f / r }')"
}

mean() { # mean FAKE REAL TRAINING: the row of the mean frame
	local json
	json=$("$bin" eval --fake "$1" --real "$2" --mask mog2 --mean "$3" --json | tail -n 1)
	printf '%-34s %8.2f dB %8.2f dB %9s\n' "mean frame of the training part" "$(field mean_frame_psnr <<<"$json")" "$(field mean_frame_psnr_foreground <<<"$json")" still
}

# repeated FAKE TO: each frame a frame later, the first one twice.
repeated() {
	local before=
	rm -rf "$2"
	mkdir -p "$2"
	for f in "$1"/*.png; do
		cp "${before:-$f}" "$2/$(basename "$f")"
		before=$f
	done
}

declare -A fit
for given in ${STEPS:-}; do
	fit[${given%:*}]=${given#*:}
done
for work in vtest:mask Megamind:edges; do
	clip=${work%:*} kind=${work#*:}
	dir=$out/$clip
	[[ $clip =~ $only ]] || continue
	mkdir -p "$dir"
	[ -d "$dir/data" ] || "$bin" prepare --extract "$kind" --size 144x192 --holdout 0.1 "$clips/$clip.avi" -o "$dir/data" >"$dir/prepare.log" 2>&1
	control=$dir/data/test_A/$clip real=$dir/data/test_B/$clip
	for net in vid2vid pix2pix; do
		[ -n "${fit[$net]:-}" ] || fit[$net]=$(steps "$net" "$dir/data")
	done
	for net in vid2vid pix2pix; do
		declare -n options=$net
		train "$dir/data" "$dir/$net" "${fit[$net]}" "${options[@]}"
		"$bin" convert --model "$dir/$net/model.safetensors" --overwrite "$control" -o "$dir/$net-frames/" >>"$dir/$net.log" 2>&1
		"$bin" eval --fake "$dir/$net-frames" --real "$real" --control "$control" --sheet "$dir/$net.png" >>"$dir/$net.log" 2>&1
	done
	frames=$dir/vid2vid-frames
	repeated "$frames" "$dir/repeated"
	{
		printf '%-34s %11s %11s %9s\n' "$clip from its $kind" PSNR foreground flicker
		row "vid2vid" "$frames" "$real"
		row "pix2pix, frame by frame" "$dir/pix2pix-frames" "$real"
		row "vid2vid's frame before, repeated" "$dir/repeated" "$real"
		mean "$frames" "$real" "$dir/data/train_B"
	} | tee "$dir/table.txt"
done
