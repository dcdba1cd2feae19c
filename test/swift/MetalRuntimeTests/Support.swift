import Foundation
import KernelABI

@testable import MetalRuntime
@testable import SoftMetal

/// Kernels that are functions in Swift: `step` (x = 3 x + y + p) shows the order in which launches ran, `slow` takes
/// 2 ms, `fault` touches memory that is not its own.
final class HostCompiler: SoftCompiler, @unchecked Sendable {
  final class Kernel: SoftKernel, @unchecked Sendable {
    let body: (SoftDispatch) throws -> Void
    init(_ body: @escaping (SoftDispatch) throws -> Void) { self.body = body }
    func run(_ dispatch: SoftDispatch) throws { try body(dispatch) }
  }

  func check(source: String) throws -> SoftSignature {
    guard !source.contains("error") else { throw CompileFailure(log: "program_source:1:1: error: as asked") }
    typealias Parameter = SoftSignature.Parameter
    let parameters = [
      Parameter(name: "x", kind: "buffer", space: "device", index: 0, readOnly: false),
      Parameter(name: "y", kind: "buffer", space: "device", index: 1, readOnly: true),
      Parameter(name: "p", kind: "buffer", space: "constant", index: 2, readOnly: true),
    ]
    return SoftSignature(
      kernels: ["step", "slow", "fault"].map { .init(name: $0, parameters: parameters, maxThreads: 256) },
      constants: [.init(name: "k", id: 0, type: "uint"), .init(name: "f", id: 1, type: "float")])
  }

  func compile(source: String, kernel: String) throws -> any SoftKernel {
    Kernel { dispatch in
      if kernel == "slow" { usleep(2000) }
      if kernel == "fault" { throw SoftFault(kind: .pageFault, message: "out-of-bounds") }
      func word(_ index: Int) -> UnsafeMutablePointer<UInt32> {
        let binding = dispatch.bindings.first { $0.index == index }!
        return binding.memory.advanced(by: binding.offset).assumingMemoryBound(to: UInt32.self)
      }
      word(0).pointee = 3 &* word(0).pointee &+ word(1).pointee &+ word(2).pointee
    }
  }
}

/// A list in the encoding of KernelABI.
struct ListBuilder {
  private(set) var bytes: [UInt8] = []

  init(_ build: (inout ListBuilder) -> Void = { _ in }) { build(&self) }

  /// `step` and its like: buffers by their place in the list and offset.
  mutating func add(
    _ pipeline: Int, x: (Int, Int) = (0, 0), y: (Int, Int) = (1, 0), p: UInt32 = 0, threadgroups: UInt32 = 1,
    threads: UInt32 = 1, memory: [UInt32] = []
  ) {
    append(
      tilewright_launch(
        pipeline: UInt32(pipeline), binding_count: 2, parameter_bytes: 4,
        threadgroup_memory_count: UInt32(memory.count),
        threadgroups: (threadgroups, 1, 1), threads: (threads, 1, 1)))
    for length in memory { append(length) }
    append(tilewright_binding(argument: 0, buffer: UInt32(x.0), offset: UInt64(x.1)))
    append(tilewright_binding(argument: 1, buffer: UInt32(y.0), offset: UInt64(y.1)))
    append(UInt32(2))
    append(p)
  }

  private mutating func append<T>(_ value: T) {
    withUnsafeBytes(of: value) { bytes.append(contentsOf: $0) }
  }
}

/// A device over functions in Swift.
struct Rig {
  let soft: SoftDevice
  let device: GPUDevice

  init(_ configuration: SoftConfiguration = SoftConfiguration(), options: DeviceOptions = DeviceOptions()) throws {
    soft = SoftDevice(configuration: configuration, compiler: HostCompiler())
    device = try GPUDevice(device: soft, options: options)
  }

  func pipeline(_ name: String = "step", source: String = "", constants: [UInt8] = []) async throws -> Int {
    let library: Int = try await withCheckedThrowingContinuation { done in
      do { try device.library(source: source, options: LibraryOptions()) { done.resume(with: $0) } } catch {
        done.resume(throwing: error)
      }
    }
    return try await withCheckedThrowingContinuation { done in
      do {
        try device.pipeline(library: library, name: name, constants: constants) { done.resume(with: $0) }
      } catch {
        done.resume(throwing: error)
      }
    }
  }

  @discardableResult
  func run(_ list: ListBuilder, _ buffers: [GPUBuffer], timed: Bool = false) async throws -> RunReport {
    try await withCheckedThrowingContinuation { done in
      do {
        _ = try device.submit(commands: list.bytes, buffers: buffers, timed: timed) { done.resume(with: $0) }
      } catch {
        done.resume(throwing: error)
      }
    }
  }

  func words(_ values: [UInt32]) throws -> GPUBuffer {
    let buffer = try device.allocate(4 * values.count)
    try values.withUnsafeBytes { try buffer.write($0, offset: 0) }
    return buffer
  }
}

extension GPUBuffer {
  func word(_ index: Int = 0) throws -> UInt32 {
    var word: UInt32 = 0
    try withUnsafeMutableBytes(of: &word) { try read(into: $0, offset: 4 * index) }
    return word
  }
}

/// The code of the error that `body` throws; nil when it throws none.
func code(_ body: () async throws -> Void) async -> MetalError.Code? {
  do {
    try await body()
    return nil
  } catch {
    return (error as? MetalError)?.code
  }
}
