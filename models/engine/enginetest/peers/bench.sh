#!/usr/bin/env bash
# bench.sh BIN: times v2v and its peers in one run and prints a table. A row is
# measured in ROUNDS (3) rounds, ours and the peer in turn, for machines drift
# within minutes; a round's figure is the median of RUNS (5) after warm-up, a
# row's the median of its rounds.
# PEERS names a folder that holds node_modules/onnxruntime-node, outside the tree.
# THREADS (2), RUNS and ROUNDS may be set, and ROWS to a pattern that rows' names match.
# JSON goes to $PEERS/bench.json.
set -euo pipefail
bin=$(realpath "$1")
here=$(cd "$(dirname "$0")" && pwd)
threads=${THREADS:-2} runs=${RUNS:-5} rounds=${ROUNDS:-3} only=${ROWS:-.}
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
json=$PEERS/bench.json
: >"$tmp/json"

ours() { # ours FIELD ARGS...
	local field=$1
	shift
	"$bin" bench --device cpu --threads "$threads" -n "$runs" --json "$@" | grep -o "\"$field\":[0-9.]*" | head -1 | cut -d: -f2
}

# The peers print "... X ms/frame ... peak Y MB"; pick takes the smallest X, or Y.
pick() { awk -v unit="$1" '{for (i = 1; i < NF; i++) if (index($(i + 1), unit) == 1) print $i}' | sort -n | head -1; }

torch() { # torch UNIT bench|train ARGS...: the faster of the two layouts
	local unit=$1
	shift
	OMP_NUM_THREADS=$threads /usr/bin/python3 "$here/composite.py" "$@" --threads "$threads" -n "$runs" | pick "$unit"
}

ort() { # ort UNIT FILE INPUTS HxW
	NODE_PATH=$PEERS/node_modules node "$here/ort.js" "$2" "$3" "${4%x*}" "${4#*x}" "$threads" | pick "$1"
}

composite() { # composite NGF HxW: makes the file for ONNX Runtime
	/usr/bin/python3 "$here/composite.py" onnx --norm instance --ngf "$1" --size "$2" --out "$tmp/g.onnx" >/dev/null 2>&1
}

middle() { sort -g | awk '{x[NR] = $1} END {print NR ? (x[int((NR + 1) / 2)] + x[int((NR + 2) / 2)]) / 2 : "nan"}'; }

row() { # row WORK UNIT NAME "OURS" "PEER": commands that print one figure
	local o p
	: >"$tmp/o" && : >"$tmp/p"
	for ((round = 0; round < rounds; round++)); do
		eval "$4" >>"$tmp/o"
		eval "$5" >>"$tmp/p"
	done
	o=$(middle <"$tmp/o") p=$(middle <"$tmp/p")
	awk -v w="$1" -v u="$2" -v o="$o" -v p="$p" -v n="$3" 'BEGIN { printf "%-34s %9.1f %9.1f %-3s %-13s %5.2fx\n", w, o, p, u, n, p / o }'
	printf '{"work":"%s","unit":"%s","ours":%s,"peer":%s,"name":"%s"}\n' "$1" "$2" "$o" "$p" "$3" >>"$tmp/json"
}

wanted() { [[ $1 =~ $only ]]; }

printf '%-34s %9s %9s %-3s %-13s %6s\n' "$threads threads" v2v peer "" "" better
for work in 64:256x256 32:128x256 64:256x512; do
	ngf=${work%:*} size=${work#*:} name="forward f32 ngf ${work/:/ }"
	wanted "$name" || continue
	composite "$ngf" "$size"
	net="--arch composite --ngf $ngf --size $size"
	row "$name" ms "ONNX Runtime" "ours ms_per_frame $net --norm instance" 'ort ms "$tmp/g.onnx" labels:9,prev:6 "$size"'
	row "$name" ms PyTorch "ours ms_per_frame $net" "torch ms bench --ngf $ngf --size $size"
	[ "$work" = 64:256x256 ] || continue
	row "peak memory ngf ${work/:/ }" MB "ONNX Runtime" "ours peak_rss_mb $net --norm instance" 'ort MB "$tmp/g.onnx" labels:9,prev:6 "$size"'
	row "forward bf16 ngf ${work/:/ }" ms "v2v f32" "ours ms_per_frame $net --precision bf16 || echo nan" "ours ms_per_frame $net"
done
rm -f "$tmp/g.onnx"

# both makes a row of times and one of memory from the same runs.
both() { # both WORK MEMORY FIELD "BENCH FLAGS" "PEER COMMAND"
	: >"$tmp/mb.o" && : >"$tmp/mb.p"
	row "$1" ms PyTorch \
		"\"$bin\" bench --device cpu --threads $threads -n $runs --json $4 >\"$tmp/one\"; field peak_rss_mb >>\"$tmp/mb.o\"; field $3" \
		"OMP_NUM_THREADS=$threads /usr/bin/python3 $5 --threads $threads -n $runs >\"$tmp/two\"; pick MB <\"$tmp/two\" >>\"$tmp/mb.p\"; pick ms <\"$tmp/two\""
	row "$2" MB PyTorch 'sed -n "$((round + 1))p" "$tmp/mb.o"' 'sed -n "$((round + 1))p" "$tmp/mb.p"'
}
field() { grep -o "\"$1\":[0-9.]*" "$tmp/one" | head -1 | cut -d: -f2; }
name="forward f32 ngf 128 256x512"
if wanted "$name"; then
	both "$name" "peak memory ngf 128 256x512" ms_per_frame "--arch composite --ngf 128 --size 256x512" "$here/composite.py bench --ngf 128 --size 256x512"
fi
name="forward+backward ngf 32 128x128"
if wanted "$name"; then
	row "$name" ms PyTorch "ours ms_per_step --arch composite --train --ngf 32 --size 128x128" "torch ms train --ngf 32 --size 128x128"
fi
name="step G+D+D_T ngf ${STEP:=32 128x128}"
if wanted "$name"; then
	ngf=${STEP% *} size=${STEP#* }
	both "$name" "peak memory of that step" ms_per_step "--arch composite --step --blocks 6 --ngf $ngf --size $size" "$here/vid2vid_step.py --ngf $ngf --size $size"
fi
for work in pix2pixHD_global:256x512 unet:256x256; do
	arch=${work%:*} size=${work#*:} name="forward f32 ${work/:/ }"
	wanted "$name" || continue
	options='{"input_nc":3,"output_nc":3,"ngf":64,"norm":"instance"}'
	/usr/bin/python3 "$here/zoo.py" onnx "$arch" "$options" "$size" "$tmp/g.onnx" >/dev/null 2>&1
	mine="ours ms_per_frame --arch $arch --norm instance --size $size"
	row "$name" ms "ONNX Runtime" "$mine" 'ort ms "$tmp/g.onnx" labels:3 "$size"'
	rm -f "$tmp/g.onnx"
	row "$name" ms PyTorch "$mine" 'OMP_NUM_THREADS=$threads /usr/bin/python3 "$here/zoo.py" bench "$arch" "$options" "$size" "$threads" | pick ms'
done
name="one layer, 512 channels"
if wanted "$name"; then # nanoseconds an operation, as go test prints them; both in one run
	ns() { awk -v n="$1" '$1 ~ n {print $3 / 1e6}' "$tmp/layer"; }
	row "$name" ms gorgonia \
		'(cd "$here/.." && go test -run "^\$" -bench "Layer/f32/residual\$|Gorgonia" -benchtime "${runs}x" ../cpu) >"$tmp/layer"; ns residual' 'ns Gorgonia'
fi
mv "$tmp/json" "$json"
echo "JSON: $json"
