#!/bin/bash
# What is worth knowing of this machine's NVIDIA card, the most wanted first, each section in its own time.
#
#   card.sh [SECONDS]      in all; 570 if nothing is said
#
# Needs bin/cuda.test, which `make bin/cuda.test` builds and which needs libc alone, the driver and NVRTC; neither Go nor a
# network. For PyTorch's side python3 has torch; V2V_PYTHON names another. Prints what fails, rows of the table as they come,
# and at the end what became of the sections and the table. OUT is a folder for table.txt and log, which has every word.
# V2V_CUDA_TEST= (empty) runs it all on the fake driver.
set -u
cd "$(dirname "$0")/.." || exit 1
test=${CUDA_TEST:-../../../bin/cuda.test}
[ -x "$test" ] || { echo "$test is missing: make bin/cuda.test where there is Go"; exit 1; }
export OUT=${OUT:-$(mktemp -d)} V2V_CUDA_TEST=${V2V_CUDA_TEST-card}
end=$(($(date +%s) + ${1:-570}))
failed=0
became=()

# Python's nvidia folders have NVRTC, cuDNN and cuBLASLt, wherever Python is.
if [ -n "$V2V_CUDA_TEST" ] && [ -z "${V2V_CUDA_PATH:-}" ]; then
	V2V_CUDA_PATH=$("${V2V_PYTHON:-python3}" -c '
import glob, importlib.util
spec = importlib.util.find_spec("nvidia")
print(":".join(p for d in (spec.submodule_search_locations if spec else []) for p in sorted(glob.glob(d + "/*/lib"))))' 2>/dev/null)
	export V2V_CUDA_PATH
	nvidia-smi --query-gpu=name,driver_version,clocks.sm,clocks.max.sm,power.limit,temperature.gpu --format=csv,noheader 2>/dev/null
fi

# some of what a section says: 120 lines, and all that it says goes to the log.
some() { tee -a "$OUT/log" | awk -v pattern="$1" '$0 ~ pattern && n++ < 120 { print substr($0, 1, 300); fflush() }'; }

# section NAME SECONDS PATTERN TESTS: those tests, for so long at most. Lines of the pattern are shown.
section() {
	local left=$((end - $(date +%s) - 10)) limit=$2 began=$SECONDS rc
	[ "$limit" -le "$left" ] || limit=$left
	if [ "$limit" -lt 5 ]; then
		became+=("$1: no time was left")
		failed=1
		return
	fi
	echo "== $1, $limit s" | tee -a "$OUT/log"
	V2V_CUDA_SECONDS=$((limit - 2)) timeout -k 3 $((limit + 3)) "$test" -test.v -test.run "$4" -test.timeout "${limit}s" 2>&1 | some "$3"
	rc=${PIPESTATUS[0]}
	case $rc in
	0) became+=("$1: passed in $((SECONDS - began)) s") ;;
	*) became+=("$1: failed ($rc) after $((SECONDS - began)) s") && failed=1 ;;
	esac
}

wrong='^--- |^ *--- FAIL|_test[.]go:|^panic|[Rr]unning tests|^\tTest|refused|no card|rror'
[ -n "$V2V_CUDA_TEST" ] && card=units || card=
V2V_CUDA_TEST=$card section "NVRTC takes every unit" 90 '.' '^TestCardUnits$'
section "Hopper's kernels" 60 "$wrong" '^TestBulk'
section "own kernels" 60 "$wrong" '^TestTileOperators|Lines$'
section "networks and steps" 60 "$wrong" '^Test(Golden|Step|FewLaunches|Lockstep|Gates|Frames|FramesOwn)$'
left=$((end - $(date +%s)))
section "table" $((left > 180 ? left - 75 : left)) '.' '^TestTable$'
section "convolutions" 60 '.' '^TestTableOfConvolutions$'
section "operators, the quickest ways" 240 "$wrong" '^Test(Operators|TensorCores)$'

echo "== sections"
printf '%s\n' "${became[@]}"
cat "$OUT/table.txt" 2>/dev/null
echo "every word: $OUT/log"
exit $failed
