// swift-tools-version:5.9
// The Swift binding. `cargo xtask bindings` writes its source. On an Apple platform it links the
// XCFramework that `ios/build-xcframework.sh` makes; without one it links the library that cargo built,
// which is how its tests run on Linux and on a Mac.

import Foundation
import PackageDescription

let framework = "TapcoreFFI.xcframework"
let hasFramework = FileManager.default.fileExists(atPath: "\(Context.packageDirectory)/\(framework)")
let build = Context.environment["TAPCORE_BUILD"] ?? "\(Context.packageDirectory)/../../target/debug"

let ffi: Target = hasFramework
    ? .binaryTarget(name: "TapcoreFFI", path: framework)
    : .systemLibrary(name: "TapcoreFFI", path: "Sources/TapcoreFFI")
let linking: [LinkerSetting] = hasFramework
    ? []
    : [.unsafeFlags(["-L\(build)", "-ltapcore", "-Xlinker", "-rpath", "-Xlinker", build])]

// The tests' key store needs P-256 and AES: CryptoKit where it exists, OpenSSL elsewhere.
#if os(Linux)
let crypto: [Target] = [
    .target(name: "TestCrypto", path: "Sources/TestCrypto", linkerSettings: [.linkedLibrary("crypto")])
]
let cryptoDependency: [Target.Dependency] = ["TestCrypto"]
#else
let crypto: [Target] = []
let cryptoDependency: [Target.Dependency] = []
#endif

let package = Package(
    name: "Tapcore",
    platforms: [.iOS(.v15), .macOS(.v12)],
    products: [.library(name: "Tapcore", targets: ["Tapcore"])],
    targets: [
        ffi,
        .target(
            name: "Tapcore", dependencies: ["TapcoreFFI"], path: "Sources/Tapcore/generated",
            linkerSettings: linking),
        .testTarget(name: "TapcoreTests", dependencies: ["Tapcore"] + cryptoDependency),
    ] + crypto
)
