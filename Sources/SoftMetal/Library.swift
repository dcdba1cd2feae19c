import Foundation

final class SoftLibrary: MTLLibrary {
  var label: String?
  let source: String
  let signature: SoftSignature
  let device: SoftDevice

  init(source: String, signature: SoftSignature, device: SoftDevice) {
    self.source = source
    self.signature = signature
    self.device = device
  }

  var functionNames: [String] { signature.kernels.map(\.name) }

  func makeFunction(name functionName: String) -> MTLFunction? {
    // As in Metal: a function with constants is only to be had with values for them.
    guard let kernel = signature.kernel(functionName), signature.constants.isEmpty else { return nil }
    return SoftFunction(library: self, kernel: kernel, constants: [:])
  }

  func makeFunction(name: String, constantValues: MTLFunctionConstantValues) throws -> MTLFunction {
    guard let kernel = signature.kernel(name) else {
      throw failure(
        MTLLibraryErrorDomain, LibraryCode.functionNotFound.rawValue,
        "Function \(name) was not found in the library")
    }
    var values: [Int: [UInt8]] = [:]
    for constant in signature.constants {
      guard let value = constantValues.values[constant.id] else { continue }
      guard value.type == constant.dataType else {
        throw failure(
          MTLLibraryErrorDomain, LibraryCode.compileFailure.rawValue,
          "Function constant \(constant.name) (index \(constant.id)) is of type \(constant.type), not \(value.type)")
      }
      values[constant.id] = value.bytes
    }
    return SoftFunction(library: self, kernel: kernel, constants: values)
  }
}

final class SoftFunction: MTLFunction {
  let library: SoftLibrary
  let kernel: SoftSignature.Kernel
  let constants: [Int: [UInt8]]

  init(library: SoftLibrary, kernel: SoftSignature.Kernel, constants: [Int: [UInt8]]) {
    self.library = library
    self.kernel = kernel
    self.constants = constants
  }

  var name: String { kernel.name }

  var functionConstantsDictionary: [String: MTLFunctionConstant] {
    Dictionary(
      uniqueKeysWithValues: library.signature.constants.map {
        ($0.name, MTLFunctionConstant(name: $0.name, type: $0.dataType, index: $0.id, required: true))
      })
  }

  /// Arguments that exist with these constants.
  var parameters: [SoftSignature.Parameter] {
    kernel.parameters.filter { parameter in
      guard let condition = parameter.condition,
        let constant = library.signature.constants.first(where: { $0.name == condition })
      else { return true }
      return constants[constant.id]?.contains { $0 != 0 } ?? false
    }
  }

  /// Equal for functions that compile to the same code.
  var archiveKey: String {
    let values = constants.sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)" }
    return "\(name)(\(values.joined(separator: ",")))@\(library.source.utf8.count):\(stableHash(library.source))"
  }
}

/// FNV-1a: the same in every process, unlike Swift's own hashes.
func stableHash(_ text: String) -> UInt64 {
  text.utf8.reduce(0xcbf2_9ce4_8422_2325) { ($0 ^ UInt64($1)) &* 0x100_0000_01b3 }
}

final class SoftPipeline: MTLComputePipelineState {
  let label: String?
  let function: SoftFunction
  let code: any SoftKernel
  let device: SoftDevice

  init(function: SoftFunction, code: any SoftKernel, label: String?, device: SoftDevice) {
    self.function = function
    self.code = code
    self.label = label
    self.device = device
  }

  var maxTotalThreadsPerThreadgroup: Int {
    min(function.kernel.maxThreads ?? Int.max, device.configuration.maxThreadgroupThreads)
  }
  var threadExecutionWidth: Int { 32 }
  /// The test bed learns it while a kernel runs, and refuses one that takes too much then.
  var staticThreadgroupMemoryLength: Int { 0 }
}

final class SoftBinding: MTLBinding {
  let name: String
  let type: MTLBindingType
  let access: MTLBindingAccess
  let index: Int
  let isUsed = true

  init?(_ parameter: SoftSignature.Parameter) {
    guard let index = parameter.index, parameter.kind == "buffer" || parameter.kind == "threadgroup" else { return nil }
    name = parameter.name
    self.index = index
    type = parameter.kind == "buffer" ? .buffer : .threadgroupMemory
    access = parameter.readOnly == true ? .readOnly : .readWrite
  }
}

/// The names of the functions that were compiled, for one architecture: what an archive of Metal is good for.
final class SoftBinaryArchive: MTLBinaryArchive {
  private struct Contents: Codable {
    var architecture: String
    var functions: Set<String>
  }

  var label: String?
  private let lock = NSLock()
  private var contents: Contents

  init(architecture: String, url: URL?) throws {
    contents = Contents(architecture: architecture, functions: [])
    guard let url else { return }
    func refuse(_ why: String) -> NSError { failure(MTLBinaryArchiveDomain, 1, "\(url.path): \(why)") }
    guard let data = try? Data(contentsOf: url) else { throw refuse("cannot be read") }
    guard let read = try? JSONDecoder().decode(Contents.self, from: data) else { throw refuse("is no archive") }
    guard read.architecture == architecture else { throw refuse("is for \(read.architecture)") }
    contents = read
  }

  func contains(_ function: SoftFunction) -> Bool {
    lock.withLock { contents.functions.contains(function.archiveKey) }
  }

  func addComputePipelineFunctions(descriptor: MTLComputePipelineDescriptor) throws {
    guard let function = descriptor.computeFunction as? SoftFunction else {
      throw failure(MTLBinaryArchiveDomain, 2, "The descriptor has no function")
    }
    _ = lock.withLock { contents.functions.insert(function.archiveKey) }
  }

  func serialize(to url: URL) throws {
    try JSONEncoder().encode(lock.withLock { contents }).write(to: url, options: .atomic)
  }
}
