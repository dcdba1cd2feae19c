// swift-tools-version:5.9
import PackageDescription

// The headers that every back end shares, as a module for the Metal back end. The C++ sources are built by the Makefile:
// their kernels are compiled once per instruction set, which this format cannot say.
let package = Package(
    name: "tilewright",
    platforms: [.macOS(.v13)],
    products: [.library(name: "KernelABI", targets: ["KernelABI"])],
    targets: [.target(name: "KernelABI")]
)
