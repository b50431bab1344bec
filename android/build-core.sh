#!/bin/sh
# Builds the core for Android and writes the binding, so that Gradle can assemble the AAR:
# native libraries into core/src/main/jniLibs, Kotlin source into bindings/kotlin.
# Needs an NDK, cargo-ndk and `rustup target add aarch64-linux-android x86_64-linux-android`.
set -eu
cd "$(dirname "$0")/.."
out=android/core/src/main/jniLibs

set -a
. bindings/mobile.env
# Newer phones have pages of 16 KB, and load only libraries that are aligned for them.
RUSTFLAGS="-C link-arg=-Wl,-z,max-page-size=16384"
set +a
cargo ndk --platform 26 -t arm64-v8a -t x86_64 -o "$out" --no-strip \
  build --package tapcore --lib --profile mobile --features wiping-allocator
unset RUSTFLAGS LIBSQLITE3_FLAGS

# The binding is read from symbols, so before they go. `xtask bindings` reads the host's library: the same facade.
cargo xtask bindings

host=$(uname | tr '[:upper:]' '[:lower:]')-x86_64
for library in "$out"/*/libtapcore.so; do
  "$ANDROID_NDK_HOME/toolchains/llvm/prebuilt/$host/bin/llvm-strip" --strip-all "$library"
done
