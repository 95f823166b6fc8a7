#!/usr/bin/env bash
# bench.sh BIN: times v2v and its peers in one run and prints a table.
# PEERS names a folder that holds node_modules/onnxruntime-node, outside the tree.
# THREADS (2) and RUNS (5) may be set. JSON goes to $PEERS/bench.json.
set -euo pipefail
bin=$(realpath "$1")
here=$(cd "$(dirname "$0")" && pwd)
threads=${THREADS:-2} runs=${RUNS:-5}
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
json=$PEERS/bench.json
: >"$tmp/rows"

ours() { # ours FIELD ARGS...
	local field=$1
	shift
	"$bin" bench --arch composite --device cpu --threads "$threads" -n "$runs" --json "$@" |
		grep -o "\"$field\":[0-9.]*" | head -1 | cut -d: -f2
}

torch() { # torch bench|train ARGS...: the faster of the two layouts
	OMP_NUM_THREADS=$threads /usr/bin/python3 "$here/composite.py" "$@" --threads "$threads" -n "$runs" |
		awk '{for (i = 1; i < NF; i++) if ($(i + 1) ~ /^ms\//) print $i}' | sort -n | head -1
}

ort() { # ort NGF HxW
	/usr/bin/python3 "$here/composite.py" onnx --norm instance --ngf "$1" --size "$2" --out "$tmp/g.onnx" >/dev/null 2>&1
	NODE_PATH=$PEERS/node_modules node "$here/ort.js" "$tmp/g.onnx" 9 "${2%x*}" "${2#*x}" "$threads" | awk '{print $2}'
}

row() { # row WORK OURS PEER NAME
	awk -v w="$1" -v o="$2" -v p="$3" -v n="$4" 'BEGIN { printf "%-34s %9.1f %9.1f  %-14s %5.2fx\n", w, o, p, n, p / o }' | tee -a "$tmp/rows"
	printf '{"work":"%s","ours_ms":%s,"peer_ms":%s,"peer":"%s"}\n' "$1" "$2" "$3" "$4" >>"$tmp/json"
}

printf '%-34s %9s %9s  %-14s %6s\n' "milliseconds, $threads threads" v2v peer "" faster
for work in ${WORK:-64:256x256 32:128x256 64:256x512}; do
	ngf=${work%:*} size=${work#*:}
	mine=$(ours ms_per_frame --ngf "$ngf" --size "$size" --norm instance)
	row "forward f32 ngf $ngf $size" "$mine" "$(ort "$ngf" "$size")" "ONNX Runtime"
	mine=$(ours ms_per_frame --ngf "$ngf" --size "$size")
	row "forward f32 ngf $ngf $size" "$mine" "$(torch bench --ngf "$ngf" --size "$size")" "PyTorch"
done
mine=$(ours ms_per_step --train --ngf 32 --size 128x128)
row "forward+backward ngf 32 128x128" "$mine" "$(torch train --ngf 32 --size 128x128)" "PyTorch"
mv "$tmp/json" "$json"
echo "JSON: $json"
