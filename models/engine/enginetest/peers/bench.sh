#!/usr/bin/env bash
# bench.sh BIN: times v2v and its peers in one run and prints a table. Each figure
# is the median of RUNS (5) after warm-up; peers run right after ours.
# PEERS names a folder that holds node_modules/onnxruntime-node, outside the tree.
# THREADS (2) and RUNS may be set, and ROWS to a pattern that rows' names match.
# JSON goes to $PEERS/bench.json.
set -euo pipefail
bin=$(realpath "$1")
here=$(cd "$(dirname "$0")" && pwd)
threads=${THREADS:-2} runs=${RUNS:-5} only=${ROWS:-.}
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

row() { # row WORK UNIT OURS PEER NAME
	awk -v w="$1" -v u="$2" -v o="$3" -v p="$4" -v n="$5" 'BEGIN { printf "%-34s %9.1f %9.1f %-3s %-13s %5.2fx\n", w, o, p, u, n, p / o }'
	printf '{"work":"%s","unit":"%s","ours":%s,"peer":%s,"name":"%s"}\n' "$1" "$2" "$3" "$4" "$5" >>"$tmp/json"
}

wanted() { [[ $1 =~ $only ]]; }

printf '%-34s %9s %9s %-3s %-13s %6s\n' "$threads threads" v2v peer "" "" better
for work in 64:256x256 32:128x256 64:256x512; do
	ngf=${work%:*} size=${work#*:} name="forward f32 ngf ${work/:/ }"
	wanted "$name" || continue
	composite "$ngf" "$size"
	mine=$(ours ms_per_frame --arch composite --ngf "$ngf" --size "$size" --norm instance)
	row "$name" ms "$mine" "$(ort ms "$tmp/g.onnx" labels:9,prev:6 "$size")" "ONNX Runtime"
	mine=$(ours ms_per_frame --arch composite --ngf "$ngf" --size "$size")
	row "$name" ms "$mine" "$(torch ms bench --ngf "$ngf" --size "$size")" PyTorch
	[ "$work" = 64:256x256 ] || continue
	mine=$(ours peak_rss_mb --arch composite --ngf "$ngf" --size "$size" --norm instance)
	row "peak memory ngf ${work/:/ }" MB "$mine" "$(ort MB "$tmp/g.onnx" labels:9,prev:6 "$size")" "ONNX Runtime"
	row "forward bf16 ngf ${work/:/ }" ms "$(ours ms_per_frame --arch composite --ngf "$ngf" --size "$size" --precision bf16 || echo nan)" \
		"$(ours ms_per_frame --arch composite --ngf "$ngf" --size "$size")" "v2v f32"
done
rm -f "$tmp/g.onnx"
name="forward f32 ngf 128 256x512"
if wanted "$name"; then
	"$bin" bench --device cpu --threads "$threads" -n "$runs" --json --arch composite --ngf 128 --size 256x512 >"$tmp/ours"
	OMP_NUM_THREADS=$threads /usr/bin/python3 "$here/composite.py" bench --ngf 128 --size 256x512 --threads "$threads" -n "$runs" >"$tmp/torch"
	field() { grep -o "\"$1\":[0-9.]*" "$tmp/ours" | head -1 | cut -d: -f2; }
	row "$name" ms "$(field ms_per_frame)" "$(pick ms <"$tmp/torch")" PyTorch
	row "peak memory ngf 128 256x512" MB "$(field peak_rss_mb)" "$(pick MB <"$tmp/torch")" PyTorch
fi
name="forward+backward ngf 32 128x128"
if wanted "$name"; then
	mine=$(ours ms_per_step --arch composite --train --ngf 32 --size 128x128)
	row "$name" ms "$mine" "$(torch ms train --ngf 32 --size 128x128)" PyTorch
fi
for work in pix2pixHD_global:256x512 unet:256x256; do
	arch=${work%:*} size=${work#*:} name="forward f32 ${work/:/ }"
	wanted "$name" || continue
	options='{"input_nc":3,"output_nc":3,"ngf":64,"norm":"instance"}'
	/usr/bin/python3 "$here/zoo.py" onnx "$arch" "$options" "$size" "$tmp/g.onnx" >/dev/null 2>&1
	mine=$(ours ms_per_frame --arch "$arch" --norm instance --size "$size")
	row "$name" ms "$mine" "$(ort ms "$tmp/g.onnx" labels:3 "$size")" "ONNX Runtime"
	rm -f "$tmp/g.onnx"
	mine=$(ours ms_per_frame --arch "$arch" --norm instance --size "$size")
	row "$name" ms "$mine" "$(OMP_NUM_THREADS=$threads /usr/bin/python3 "$here/zoo.py" bench "$arch" "$options" "$size" "$threads" | pick ms)" PyTorch
done
name="one layer, 512 channels"
if wanted "$name"; then # nanoseconds an operation, as go test prints them
	(cd "$here/.." && go test -run '^$' -bench 'Layer/f32/residual$|Gorgonia' -benchtime "${runs}x" ../cpu) >"$tmp/layer"
	ns() { awk -v n="$1" '$1 ~ n {print $3 / 1e6}' "$tmp/layer"; }
	row "$name" ms "$(ns residual)" "$(ns Gorgonia)" gorgonia
fi
mv "$tmp/json" "$json"
echo "JSON: $json"
