#!/usr/bin/env bash
# Tests a bundle on a machine with a GPU and prints one table with versions: gpu_check.sh FOLDER [LOG].
# FOLDER: what ./dev bundle made, or a build folder. LOG: a folder for the tests' reports. Needs bash
# alone; NVIDIA's libraries are taken from the toolkit, or from the packages of python3 if there.
set -uo pipefail
folder=$(cd "${1:?a bundle or build folder}" && pwd)
log=${2:-$(mktemp -d)}
mkdir -p "$log"
log=$(cd "$log" && pwd)
data=$folder  # with the models that tests read
[ -e "$data/models" ] || data=$folder/..

export LD_LIBRARY_PATH=$folder/lib${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
if [ -z "${CARNOT_CUDA_LIBRARIES:-}" ] && command -v python3 >/dev/null; then
  packages=$(python3 -c 'import sysconfig; print(sysconfig.get_path("purelib"))' 2>/dev/null || true)
  CARNOT_CUDA_LIBRARIES=$(printf '%s\n' "$packages"/nvidia/*/lib | paste -sd:)
  export CARNOT_CUDA_LIBRARIES
fi

row() { printf '| %-28s | %-90s |\n' "$1" "$2"; }

failed=0
# check NAME FILTER: the tests of a filter, a row with their counts.
check() {
  local name=$1 filter=$2 status=0 start=$SECONDS
  (cd "$data" && "$folder/bin/carnot_tests" --gtest_brief=1 --gtest_filter="$filter" \
    --gtest_output="json:$log/$name.json") >"$log/$name.log" 2>&1 || status=$?
  local ran bad skipped
  ran=$(sed -n 's/^\[==========\] \([0-9]*\) tests\{0,1\} from.*ran.*/\1/p' "$log/$name.log")
  bad=$(sed -n 's/^ *\([0-9]*\) FAILED TESTS\{0,1\}.*/\1/p' "$log/$name.log")
  skipped=$(sed -n 's/^\[  SKIPPED \] \([0-9]*\) tests\{0,1\}.*/\1/p' "$log/$name.log")
  [ $status = 0 ] || failed=1
  row "$name" "${ran:-none} ran, ${bad:-0} failed, ${skipped:-0} skipped, $((SECONDS - start)) s$(
    [ $status = 0 ] || [ $status = 1 ] || echo ", ended with status $status")"
}

row "what" "value"
row "---" "---"
row date "$(date -u +%F)"
row build "$("$folder/bin/carnot" --version 2>/dev/null | head -1)"
row processor "$(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -1), $(nproc) cores"
row gpu "$(nvidia-smi --query-gpu=name,driver_version,memory.total --format=csv,noheader 2>/dev/null | head -1)"
check devices 'All/Devices*:DeviceKinds*'
row fingerprint "$(sed -n 's/.*"fingerprint": "\(cuda[^"]*\)".*/\1/p' "$log/devices.json" | head -1)"
check kernels 'Cases/DeviceKernels*'
# Which kernels took how many cases.
sed -n 's/.*"kernels": "\([^"]*\)".*/\1/p' "$log/kernels.json" | tr -d '\\' | tr ' ' '\n' | sort |
  uniq -c | while read -r count kernel; do row "  $kernel" "$count cases"; done
check engines 'All/DeviceEngine*'
check decoder 'All/PagedDecoder*'
# Milliseconds of a step over four sequences.
awk -F'"' '/"name": "Chooses/ { sub(/.*\//, "", $4); device = $4 }
           /_ms_per_step"/ { sub(/_ms_per_step/, "", $2); print device, $2, $4 }' "$log/decoder.json" |
  while read -r device model time; do row "  $model" "$time ms a step of four sequences, $device"; done
exit $failed
