// swift-tools-version:5.9
import Foundation
import PackageDescription

// The Metal back end. On a Mac it runs over Apple's framework; on Linux over SoftMetal, which runs shaders on the CPU.
// The C++ of the other back ends is built by the Makefile: its kernels are compiled once per instruction set, which this
// format cannot say.

func exists(_ path: String) -> Bool {
  FileManager.default.fileExists(atPath: Context.packageDirectory + "/" + path)
}

/// For the tests of the Swift sources, built under ThreadSanitizer: they need no node-swift, and build in seconds.
let withoutNode = Context.environment["TILEWRIGHT_SANITIZE"] == "thread"

/// In a checkout npm has installed it already; as a dependency of another project it is not there.
let nodeSwift: Package.Dependency =
  exists("node_modules/node-swift/Package.swift")
  ? .package(path: "node_modules/node-swift")
  : .package(url: "https://github.com/kabiroberai/node-swift.git", exact: "1.4.0")

var targets: [Target] = [
  .target(name: "KernelABI"),
  // What the bridge does, without Node: tests run it without a JavaScript engine.
  .target(
    name: "MetalRuntime",
    dependencies: ["KernelABI", .target(name: "SoftMetal", condition: .when(platforms: [.linux]))]
  ),
]

var products: [Product] = [.library(name: "KernelABI", targets: ["KernelABI"])]

if !withoutNode {
  products.append(.library(name: "MetalBridge", type: .dynamic, targets: ["MetalBridge"]))
  targets.append(
    // What Node sees. Its symbols of Node are those of the process that loads it.
    .target(
      name: "MetalBridge",
      dependencies: [
        "MetalRuntime",
        .product(name: "NodeAPI", package: "node-swift"),
        .product(name: "NodeModuleSupport", package: "node-swift"),
      ],
      linkerSettings: [
        .unsafeFlags(["-Xlinker", "-undefined", "-Xlinker", "dynamic_lookup"], .when(platforms: [.macOS]))
      ]
    ))
}

#if os(Linux)
  targets += [
    .target(
      name: "Simt",
      exclude: ["runner", "shim"],
      sources: ["rt"],
      publicHeadersPath: "include",
      cxxSettings: [.unsafeFlags(["-O2"])] + (withoutNode ? [.define("SIMT_WITHOUT_HOOKS")] : [])
    ),
    .target(name: "SoftMetal", dependencies: ["Simt"]),
  ]
#endif

// The tests are not part of the npm package.
if exists("test/swift") {
  if !withoutNode {
    // What node-swift itself gets wrong, for a test that says when it no longer does.
    targets.append(
      .target(
        name: "NodeSwiftPitfalls",
        dependencies: [
          .product(name: "NodeAPI", package: "node-swift"),
          .product(name: "NodeModuleSupport", package: "node-swift"),
        ],
        path: "test/swift/NodeSwiftPitfalls",
        linkerSettings: [
          .unsafeFlags(["-Xlinker", "-undefined", "-Xlinker", "dynamic_lookup"], .when(platforms: [.macOS]))
        ]))
    products.append(.library(name: "NodeSwiftPitfalls", type: .dynamic, targets: ["NodeSwiftPitfalls"]))
  }
  #if os(Linux)
    // Over the software device, both.
    targets += [
      .testTarget(name: "MetalRuntimeTests", dependencies: ["MetalRuntime"], path: "test/swift/MetalRuntimeTests"),
      .testTarget(name: "SoftMetalTests", dependencies: ["SoftMetal"], path: "test/swift/SoftMetalTests"),
    ]
  #endif
}

let package = Package(
  name: "tilewright",
  platforms: [.macOS(.v13)],
  products: products,
  dependencies: withoutNode ? [] : [nodeSwift],
  targets: targets,
  swiftLanguageVersions: [.v5],
  cxxLanguageStandard: .cxx17
)
