import Foundation

/// A pass: what was encoded, to be run later.
final class SoftComputeEncoder: MTLComputeCommandEncoder, @unchecked Sendable {
  private enum Argument {
    case buffer(SoftBuffer, offset: Int)
    case bytes([UInt8])
  }

  private struct Launch {
    let pipeline: SoftPipeline
    let arguments: [Int: Argument]
    let threadgroupMemory: [Int: Int]
    let threadgroups: MTLSize
    let threads: MTLSize
    let groups: [String]
  }

  var label: String?
  private(set) var ended = false
  private let descriptor: MTLComputePassDescriptor
  private let device: SoftDevice
  private var pipeline: SoftPipeline?
  private var arguments: [Int: Argument] = [:]
  private var threadgroupMemory: [Int: Int] = [:]
  private var groups: [String] = []
  /// Launches between barriers.
  private var sections: [[Launch]] = [[]]
  /// What the API's validation would object to; reported when the pass runs.
  private var misuse: String?

  init(descriptor: MTLComputePassDescriptor, device: SoftDevice) {
    self.descriptor = descriptor
    self.device = device
  }

  func setComputePipelineState(_ state: MTLComputePipelineState) { pipeline = state as? SoftPipeline }

  func setBuffer(_ buffer: MTLBuffer?, offset: Int, index: Int) {
    guard let buffer = buffer as? SoftBuffer else {
      arguments[index] = nil
      return
    }
    if offset < 0 || offset >= buffer.length { object("buffer \(index) has no byte \(offset)") }
    if index > 30 { object("buffer indices go from 0 to 30") }
    arguments[index] = .buffer(buffer, offset: offset)
  }

  func setBytes(_ bytes: UnsafeRawPointer, length: Int, index: Int) {
    if length > 4096 { object("setBytes takes at most 4096 bytes") }
    arguments[index] = .bytes(Array(UnsafeRawBufferPointer(start: bytes, count: length)))
  }

  func setThreadgroupMemoryLength(_ length: Int, index: Int) {
    if length % 16 != 0 { object("threadgroup memory comes in multiples of 16 bytes, not \(length)") }
    threadgroupMemory[index] = length
  }

  func dispatchThreadgroups(_ threadgroupsPerGrid: MTLSize, threadsPerThreadgroup: MTLSize) {
    guard let pipeline else { return object("there is no pipeline") }
    sections[sections.count - 1].append(
      Launch(
        pipeline: pipeline, arguments: arguments, threadgroupMemory: threadgroupMemory,
        threadgroups: threadgroupsPerGrid, threads: threadsPerThreadgroup, groups: groups))
  }

  func pushDebugGroup(_ string: String) { groups.append(string) }

  func popDebugGroup() {
    if groups.popLast() == nil { object("popDebugGroup without pushDebugGroup") }
  }

  func memoryBarrier(scope: MTLBarrierScope) {
    if scope.contains(.buffers) { sections.append([]) }
  }

  func endEncoding() {
    if !groups.isEmpty { object("the debug group \(groups[0]) does not end") }
    ended = true
    arguments = [:]
  }

  private func object(_ text: String) { misuse = misuse ?? text }

  /// Nothing orders the launches of a concurrent section, so the last runs first: a barrier that is missing shows.
  func execute() throws {
    if let misuse { throw SoftFault(kind: .other, message: misuse) }
    let attachment = descriptor.sampleBufferAttachments[0]!
    let samples = attachment.sampleBuffer as? SoftCounterSampleBuffer
    samples?.set(attachment.startOfEncoderSampleIndex, DispatchTime.now().uptimeNanoseconds)
    for section in sections {
      for launch in descriptor.dispatchType == .concurrent ? section.reversed() : section { try run(launch) }
    }
    samples?.set(attachment.endOfEncoderSampleIndex, DispatchTime.now().uptimeNanoseconds)
    sections = []
  }

  private func run(_ launch: Launch) throws {
    let function = launch.pipeline.function
    func invalid(_ text: String) -> SoftFault { SoftFault(kind: .other, message: "\(function.name): \(text)") }
    let limit = launch.pipeline.maxTotalThreadsPerThreadgroup
    guard let threads = launch.threads.count, (1...limit).contains(threads) else {
      throw invalid("threadgroups have at most \(limit) threads")
    }
    guard let groups = launch.threadgroups.count, groups > 0 else { throw invalid("the grid is empty") }
    let memory = launch.threadgroupMemory.values.reduce(0, +)
    guard memory <= device.maxThreadgroupMemoryLength else {
      throw invalid("\(memory) bytes of threadgroup memory, of \(device.maxThreadgroupMemoryLength)")
    }
    var bindings: [SoftDispatch.Binding] = []
    var lengths: [Int] = []
    var copies: [UnsafeMutableRawPointer] = []
    defer { for copy in copies { copy.deallocate() } }
    for parameter in function.parameters {
      guard let index = parameter.index else { continue }
      if parameter.kind == "threadgroup" {
        guard let length = launch.threadgroupMemory[index], length > 0 else {
          throw invalid("threadgroup memory \(index) (\(parameter.name)) has no length")
        }
        lengths += Array(repeating: 0, count: max(0, index + 1 - lengths.count))
        lengths[index] = length
      }
      guard parameter.kind == "buffer" else { continue }
      var binding = SoftDispatch.Binding(
        index: index, memory: UnsafeMutableRawPointer(bitPattern: 16)!, length: 0, offset: 0,
        readOnly: parameter.readOnly == true, isConstant: parameter.space == "constant", name: parameter.name,
        sharedWith: nil)
      switch launch.arguments[index] {
      case nil: throw invalid("buffer \(index) (\(parameter.name)) is not bound")
      case .buffer(let buffer, let offset)?:
        binding.memory = buffer.contents()
        binding.length = buffer.length
        binding.offset = offset
        binding.sharedWith = bindings.first { $0.memory == binding.memory && $0.sharedWith == nil }?.index
      case .bytes(let bytes)?:
        let copy = UnsafeMutableRawPointer.allocate(byteCount: max(bytes.count, 1), alignment: 16)
        copies.append(copy)
        copy.copyMemory(from: bytes, byteCount: bytes.count)
        binding.memory = copy
        binding.length = bytes.count
      }
      bindings.append(binding)
    }
    MTLCaptureManager.shared().note((launch.groups + [function.name]).joined(separator: "/"), on: device)
    try launch.pipeline.code.run(
      SoftDispatch(
        kernel: function.name, threadgroups: launch.threadgroups, threads: launch.threads,
        maxThreads: function.kernel.maxThreads ?? 0, constants: function.constants, bindings: bindings,
        threadgroupMemory: lengths, timeoutMs: device.configuration.timeoutMs))
  }
}
