#!/usr/bin/env bash
# Tests a bundle on a machine with a GPU and prints one table with versions: gpu_check.sh FOLDER [LOG
# [MODEL...]]. FOLDER: what ./dev bundle made, or a build folder. LOG: a folder for reports. Needs bash
# alone; NVIDIA's libraries are taken from the toolkit, or from the packages of python3 if there. Where
# python3 has PyTorch, models are exported and timed by it beside (all, or those named).
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
cores=$(env -u OMP_NUM_THREADS nproc)
parts=$((((cores + 1) / 2 < 8) ? (cores + 1) / 2 : 8))
times=()
# part NAME COMMAND...: its rows now; how long it took is told at the end.
part() {
  local name=$1 start=$SECONDS
  "${@:2}" || failed=1
  times+=("$name: $((SECONDS - start)) s")
}
# aside NAME COMMAND...: beside others; `collect NAME` waits for it and prints its rows.
declare -A aside_pids
aside() {
  (
    start=$SECONDS status=0
    "${@:2}" >"$log/$1.rows" || status=$?
    echo "$1: $((SECONDS - start)) s" >"$log/$1.time"
    exit $status
  ) &
  aside_pids[$1]=$!
}
collect() {
  wait "${aside_pids[$1]}" || failed=1
  cat "$log/$1.rows"
  times+=("$(cat "$log/$1.time")")
}
# sum PATTERN FILES...: of the numbers that the pattern's group matches in them.
sum() { sed -n "s/$1/\1/p" "${@:2}" | paste -sd+ | sed 's/^$/0/' | { read -r all && echo $((all)); }; }
# check NAME FILTER [PARTS]: the tests of a filter, in so many processes; a row with their counts.
check() {
  local name=$1 filter=$2 parts=${3:-1} status=0 start=$SECONDS part waiting=()
  for ((part = 0; part < parts; ++part)); do
    (cd "$data" && GTEST_TOTAL_SHARDS=$parts GTEST_SHARD_INDEX=$part exec timeout 200 "$folder/bin/carnot_tests" \
      --gtest_brief=1 --gtest_filter="$filter" --gtest_output="json:$log/$name.$part.json") \
      >"$log/$name.$part.log" 2>&1 &
    waiting+=($!)
  done
  for part in "${waiting[@]}"; do wait "$part" || status=$?; done
  local logs=("$log/$name".*.log)
  local ran bad skipped
  ran=$(sum '^\[==========\] \([0-9]*\) tests\{0,1\} from.*ran.*' "${logs[@]}")
  bad=$(sum '^ *\([0-9]*\) FAILED TESTS\{0,1\}.*' "${logs[@]}")
  skipped=$(sum '^\[  SKIPPED \] \([0-9]*\) tests\{0,1\}.*' "${logs[@]}")
  row "$name" "$ran ran, $bad failed, $skipped skipped, $((SECONDS - start)) s$(
    [ $status = 0 ] || [ $status = 1 ] || echo ", ended with status $status")"
  return $status
}
# Which kernels took how many cases.
check_kernels() {
  local status=0
  check kernels 'Cases/DeviceKernels*' "$parts" || status=$?
  sed -n 's/.*"kernels": "\([^"]*\)".*/\1/p' "$log"/kernels.*.json | tr -d '\\' | tr ' ' '\n' | sort |
    uniq -c | while read -r count kernel; do row "  $kernel" "$count cases"; done
  return $status
}
# What moved addresses cost.
check_runs() {
  local status=0
  check runs 'All/DeviceRuns*' || status=$?
  cost() { sed -n "s/.*\"$1\": \"\([0-9.]*\)\".*/\1/p" "$log"/runs.*.json | head -1; }
  row "  addresses of fifty layers" "$(cost same_us) us a run where they stay, $(cost moved_us) where they change, $(cost recorded_us) recorded anew"
  return $status
}
# Milliseconds of a step over four sequences.
check_decoder() {
  local status=0
  check decoder 'All/PagedDecoder*' || status=$?
  awk -F'"' '/"name": "Chooses/ { sub(/.*\//, "", $4); device = $4 }
             /_ms_per_step"/ { sub(/_ms_per_step/, "", $2); print device, $2, $4 }' "$log"/decoder.*.json |
    while read -r device model time; do row "  $model" "$time ms a step of four sequences, $device"; done
  return $status
}
check_engines() {
  local status=0
  check engines 'All/DeviceEngine*' || status=$?
  property() { grep -oh "\"$1\": \"[0-9]*\"" "$log"/engines.*.json | tr -dc '0-9\n' | sort -n | tail -1; }
  held() { [ -n "$(property "$1")" ] && ! grep -q "$2.*cuda.*FAILED\|FAILED.*$2.*cuda" "$log"/engines.*.log; }
  if held runs KeepsNoMemory; then
    row memory "the same before and after $(property runs) runs and $(property shapes) changes of shape"
  else
    row memory "not the same before and after, or not seen: see $log"
  fi
  if held launches IssuesARun; then
    row "a run" "$(property calls) calls to the driver, $(property launches) a launch, none between launches that waits or allocates"
  else
    row "a run" "waits or allocates between launches, or was not seen: see $log"
  fi
  return $status
}
# Without errors of the driver's calls, which the tests see: the last parameter of a recorded kernel is
# found by asking for one more.
check_memory() {
  local status=0
  timeout 200 compute-sanitizer --tool memcheck --report-api-errors no "$folder/bin/carnot_tests" --gtest_brief=1 \
    --gtest_filter='All/DeviceEngine.AgreesWithTheReferenceAtEveryRun/cuda*:All/DeviceRuns.[TFR]*/cuda:All/DeviceDataDims*cuda*' \
    >"$log/memcheck.log" 2>&1 || status=$?
  row memcheck "$(grep -h 'ERROR SUMMARY\|not supported' "$log/memcheck.log" | tail -1 | sed 's/^=* *//')"
  return $status
}
# The faces' module, for the Python that is here.
build_module() {
  [ ! -d "$folder/module" ] || { python3 -c 'import pytest, onnxruntime, hypothesis, ml_dtypes' &&
    bash "$folder/build_module.sh" "$folder" "$log/module"; } >"$log/module.log" 2>&1
}
# No CARNOT_DEVICE: they choose the GPU.
check_faces() {
  local status=0
  if [ ! -e "$log/module/_carnot.so" ]; then
    row faces "no compiler, or no pytest, onnxruntime, hypothesis and ml_dtypes in python3: see $log/module.log"
    return 0
  fi
  (cd "$folder" && PATH=$folder/bin:$PATH PYTHONPATH=$log/module:$folder/python CARNOT_CUDART=$folder/shim/libcudart.so \
    timeout 200 python3 -X faulthandler -m pytest -q -p no:cacheprovider tests/python/test_cuda.py tests/python/test_data_dims.py \
    tests/python/test_device_runs.py tests/python/test_tensorrt_{run,addresses,listeners,scripts}.py) \
    >"$log/faces.log" 2>&1 || status=$?
  row faces "$(tail -n 1 "$log/faces.log")"
  return $status
}
bench=$folder/bench
[ -d "$bench" ] || bench=$(dirname "$0")/../bench
models=("${@:3}")
work=$(mktemp -d)
mkdir -p "$work/models"
[ ! -d "$bench/onnx" ] || cp "$bench"/onnx/* "$work/models/"
# beside_torch PART: a part of bench/gpu.py.
beside_torch() {
  CARNOT_MODELS=$work/models CARNOT_BENCH_WORK=$work python3 "$bench/gpu.py" "$1" "$folder" "$log" \
    "${models[@]+"${models[@]}"}" 2>>"$log/bench.log"
}

row "what" "value"
row "---" "---"
row date "$(date -u +%F)"
row build "$("$folder/bin/carnot" --version 2>/dev/null | head -1)"
row processor "$(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -1), $cores cores"
row gpu "$(nvidia-smi --query-gpu=name,driver_version,memory.total --format=csv,noheader 2>/dev/null | head -1)"

# What is timed is timed alone; everything else goes side by side.
torch=$(python3 -c 'import torch; print(int(torch.cuda.is_available()))' 2>/dev/null || echo 0)
[ "$torch" != 1 ] || aside models beside_torch make
aside module build_module
part devices check devices 'All/Devices*:DeviceKinds*'
row fingerprint "$(sed -n 's/.*"fingerprint": "\(cuda[^"]*\)".*/\1/p' "$log"/devices.*.json | head -1)"
part kernels check_kernels
part engines check_engines
part "dims by data" check "dims by data" 'All/DeviceDataDims*'
collect module
if [ "$torch" = 1 ]; then collect models; else row bench "python3 has no PyTorch with CUDA"; fi
part runs check_runs
part decoder check_decoder
[ "$torch" != 1 ] || part speed beside_torch speed
! command -v compute-sanitizer >/dev/null || aside memcheck check_memory
aside faces check_faces
[ "$torch" != 1 ] || part agreement beside_torch agreement
[ -z "${aside_pids[memcheck]:-}" ] || collect memcheck
collect faces
for time in "${times[@]}"; do row "time" "$time"; done
row "time" "$SECONDS s in all; models, module, memcheck and faces beside others"
exit $failed
