#!/usr/bin/env bash
# Compiles the Python module of a bundle for the python3 that is here: build_module.sh BUNDLE OUT. Needs g++
# and Python's headers.
set -euo pipefail
bundle=$(cd "$1" && pwd)
mkdir -p "$2/objects"
out=$(cd "$2" && pwd)
cd "$bundle/module"
flags="-std=c++20 -O1 -fPIC -fvisibility=hidden -fno-strict-aliasing -DFMT_SHARED -DNDEBUG -Iapps -Iinclude
  -I$(python3 -c 'import sysconfig; print(sysconfig.get_path("include"))')
  -Inanobind/include -Inanobind/ext/robin_map/include"
waiting=()
for source in apps/python/*.cpp nanobind/src/nb_combined.cpp; do
  # shellcheck disable=SC2086
  g++ $flags -c "$source" -o "$out/objects/$(basename "$source").o" &
  waiting+=($!)
done
for part in "${waiting[@]}"; do wait "$part"; done
g++ -shared -o "$out/_carnot.so" "$out"/objects/*.o -L"$bundle/lib" -lcarnot -lcarnot_runtime \
  "$bundle"/lib/libfmt.so.* -Wl,-rpath,"$bundle/lib"
