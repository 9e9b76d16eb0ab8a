#!/bin/bash
# run.sh FOLDER: builds and runs a user's program in each of the ways that the README names. FOLDER is made anew for it.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
source_dir=$(cd "$here/../.." && pwd)
work=$(mkdir -p "$1" && cd "$1" && pwd)/consumers
rm -rf "$work"
mkdir "$work"
cxx=${CXX:-g++}
export CXX=$cxx
prefix=$work/prefix
trap 'tail -n 30 "$work"/*.log' ERR

echo "== install"
cmake -S "$source_dir" -B "$work/install" -G Ninja -DCMAKE_INSTALL_PREFIX="$prefix" \
  -DRUNNEL_BUILD_TESTS=OFF -DRUNNEL_BUILD_EXAMPLES=OFF > "$work/install.log"
cmake --install "$work/install" >> "$work/install.log"
diff -r "$source_dir/include/runnel" "$prefix/include/runnel"
[ "$(cd "$prefix" && find . -mindepth 1 -maxdepth 1 | sort | xargs)" = "./include ./share" ]
# The installed tree moves with its prefix.
mv "$prefix" "$prefix.moved"
prefix=$prefix.moved

echo "== find_package"
version=$(sed -n 's/^#define RUNNEL_VERSION_STRING "\(.*\)"$/\1/p' "$source_dir/include/runnel/version.hpp")
cmake -S "$here/find_package" -B "$work/find_package" -G Ninja -DCMAKE_PREFIX_PATH="$prefix" -DRUNNEL_WANTED_VERSION="$version" > "$work/find_package.log"
cmake --build "$work/find_package" >> "$work/find_package.log"
"$work/find_package/consumer"
# Another minor version is not compatible before 1.0.
if cmake -S "$here/find_package" -B "$work/newer" -G Ninja -DCMAKE_PREFIX_PATH="$prefix" -DRUNNEL_WANTED_VERSION=0.99 > "$work/newer.log" 2>&1; then
  echo "a version that is not installed was found"
  exit 1
fi
grep -q "runnelConfig.cmake, version: $version" "$work/newer.log"

echo "== pkg-config"
export PKG_CONFIG_PATH=$prefix/share/pkgconfig
[ "$(pkg-config --modversion runnel)" = "$version" ]
# shellcheck disable=SC2046 # the flags are words
"$cxx" -std=c++20 $(pkg-config --cflags runnel) "$here/consumer.cpp" $(pkg-config --libs runnel) -o "$work/by_pkg_config"
"$work/by_pkg_config"

echo "== add_subdirectory"
cmake -S "$here/add_subdirectory" -B "$work/add_subdirectory" -G Ninja > "$work/add_subdirectory.log"
cmake --build "$work/add_subdirectory" >> "$work/add_subdirectory.log"
"$work/add_subdirectory/consumer"
if (cd "$work/add_subdirectory" && ctest -N | grep -q 'Test *#'); then
  echo "tests of ours are among those of a project that only uses the library"
  exit 1
fi

echo "== include path"
"$cxx" -std=c++20 -pthread -I "$source_dir/include" "$here/consumer.cpp" -o "$work/by_include_path"
"$work/by_include_path"

echo "== included and not used"
echo '#include <runnel/runnel.hpp>' > "$work/unused.cpp"
"$cxx" -std=c++20 -pthread -I "$source_dir/include" -c "$work/unused.cpp" -o "$work/unused.o"
if nm -C "$work/unused.o" | grep ' [TtWwVv] .*runnel::'; then
  echo "a file that uses nothing has code of ours"
  exit 1
fi
echo "consumers: 4 of 4 built and ran, and what is not used is not there"
