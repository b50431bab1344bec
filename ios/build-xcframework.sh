#!/bin/sh
# Builds the core for iPhones and the simulator, writes the binding, and joins both libraries in
# bindings/swift/TapcoreFFI.xcframework, where the Swift package looks for it.
# Needs Xcode and `rustup target add aarch64-apple-ios aarch64-apple-ios-sim x86_64-apple-ios`.
set -eu
cd "$(dirname "$0")/.."
out=bindings/swift/TapcoreFFI.xcframework
work=target/xcframework

# Writes the Swift source and the header, from the host's library: the same facade.
cargo xtask bindings

set -a
. bindings/mobile.env
IPHONEOS_DEPLOYMENT_TARGET=17.0
set +a
for target in aarch64-apple-ios aarch64-apple-ios-sim x86_64-apple-ios; do
  cargo build --package tapcore --lib --profile mobile --features wiping-allocator --target "$target"
done

rm -rf "$work" "$out"
mkdir -p "$work/headers" "$work/device" "$work/simulator"
cp bindings/swift/Sources/TapcoreFFI/generated/TapcoreFFI.h "$work/headers/"
# Inside the framework the header stands beside its module map.
sed 's|generated/||' bindings/swift/Sources/TapcoreFFI/module.modulemap > "$work/headers/module.modulemap"

cp target/aarch64-apple-ios/mobile/libtapcore.a "$work/device/"
lipo -create -output "$work/simulator/libtapcore.a" \
  target/aarch64-apple-ios-sim/mobile/libtapcore.a target/x86_64-apple-ios/mobile/libtapcore.a
for library in "$work"/*/libtapcore.a; do
  strip -S -x "$library"
done
xcodebuild -create-xcframework \
  -library "$work/device/libtapcore.a" -headers "$work/headers" \
  -library "$work/simulator/libtapcore.a" -headers "$work/headers" \
  -output "$out"
