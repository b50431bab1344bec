// swift-tools-version:5.9
// What the iOS app does, without its screens: view models and helpers that know neither SwiftUI nor
// CoreNFC, so that they compile and are tested anywhere.

import PackageDescription

let package = Package(
    name: "TapcoreShell",
    platforms: [.iOS(.v17), .macOS(.v14)],
    products: [.library(name: "TapcoreShell", targets: ["TapcoreShell"])],
    dependencies: [.package(name: "Tapcore", path: "../../bindings/swift")],
    targets: [
        .target(
            name: "TapcoreShell",
            dependencies: [.product(name: "Tapcore", package: "Tapcore")],
            // On Linux, Swift 6.0's Observation library refers to a symbol that nothing exports and nothing calls.
            linkerSettings: [
                .unsafeFlags(["-Xlinker", "--allow-shlib-undefined"], .when(platforms: [.linux]))
            ]),
        .testTarget(name: "TapcoreShellTests", dependencies: ["TapcoreShell"]),
    ]
)
