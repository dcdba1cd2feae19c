import Foundation

@testable import SoftMetal

/// Kernels that are functions in Swift: the device's own behaviour without a compiler of shaders.
final class HostCompiler: SoftCompiler, @unchecked Sendable {
  final class Kernel: SoftKernel, @unchecked Sendable {
    let body: (SoftDispatch) throws -> Void
    init(_ body: @escaping (SoftDispatch) throws -> Void) { self.body = body }
    func run(_ dispatch: SoftDispatch) throws { try body(dispatch) }
  }

  let signature: SoftSignature
  let kernels: [String: (SoftDispatch) throws -> Void]

  init(_ signature: SoftSignature, _ kernels: [String: (SoftDispatch) throws -> Void]) {
    self.signature = signature
    self.kernels = kernels
  }

  func check(source: String) throws -> SoftSignature {
    guard !source.contains("error") else { throw CompileFailure(log: "program_source:1:1: error: as asked") }
    return signature
  }

  func compile(source: String, kernel: String) throws -> any SoftKernel {
    guard let body = kernels[kernel] else { throw CompileFailure(log: "no code for \(kernel)") }
    return Kernel(body)
  }

  /// `step(device uint* x, device const uint* y, constant uint& p, [threadgroup])`: x = 3 x + y + p + constant 0.
  static func step(threadgroup: Bool = false, maxThreads: Int? = nil) -> HostCompiler {
    typealias Parameter = SoftSignature.Parameter
    let buffers = [
      Parameter(name: "x", kind: "buffer", space: "device", index: 0, readOnly: false),
      Parameter(name: "y", kind: "buffer", space: "device", index: 1, readOnly: true),
      Parameter(name: "p", kind: "buffer", space: "constant", index: 2, readOnly: true),
      Parameter(name: "z", kind: "buffer", space: "device", index: 3, readOnly: true, condition: "has_z"),
    ]
    let memory = threadgroup ? [Parameter(name: "shared", kind: "threadgroup", space: "threadgroup", index: 0)] : []
    let signature = SoftSignature(
      kernels: [.init(name: "step", parameters: buffers + memory, maxThreads: maxThreads)],
      constants: [.init(name: "k", id: 0, type: "uint"), .init(name: "has_z", id: 1, type: "bool")])
    return HostCompiler(signature, ["step": step])
  }

  private static func step(_ dispatch: SoftDispatch) throws {
    func word(_ index: Int) -> UnsafeMutablePointer<UInt32> {
      let binding = dispatch.bindings.first { $0.index == index }!
      return binding.memory.advanced(by: binding.offset).assumingMemoryBound(to: UInt32.self)
    }
    let k = dispatch.constants[0].map { $0.withUnsafeBytes { $0.loadUnaligned(as: UInt32.self) } } ?? 0
    word(0).pointee = 3 &* word(0).pointee &+ word(1).pointee &+ word(2).pointee &+ k
  }
}

extension MTLBuffer {
  var word: UInt32 {
    get { contents().load(as: UInt32.self) }
    set { contents().storeBytes(of: newValue, as: UInt32.self) }
  }
}

extension MTLFunctionConstantValues {
  convenience init(_ k: UInt32, hasZ: Bool = false) {
    self.init()
    var (k, hasZ) = (k, hasZ)
    setConstantValue(&k, type: .uint, index: 0)
    setConstantValue(&hasZ, type: .bool, index: 1)
  }
}
