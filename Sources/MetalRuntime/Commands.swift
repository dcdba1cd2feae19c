import Foundation
import KernelABI

/// One kernel launch, checked against its pipeline and ready to be encoded.
struct Launch {
  struct Binding {
    let argument: Int
    /// Index into the list's buffers.
    let buffer: Int
    /// Bytes, in Metal's buffer.
    let offset: Int
  }

  let pipeline: Pipeline
  let threadgroups: MTLSize
  let threads: MTLSize
  /// Bytes, by `[[threadgroup(n)]]`.
  let threadgroupMemory: [Int]
  let bindings: [Binding]
  /// `[[buffer(n)]]` of the parameters.
  let parameterArgument: Int
  /// Where they are in the list's bytes.
  let parameters: Range<Int>
}

/// A command list as it came from TypeScript: `tilewright_launch` records of KernelABI.
struct CommandList {
  let bytes: [UInt8]
  let buffers: [GPUBuffer.Storage]
  let launches: [Launch]

  /// `setBytes` takes no more.
  private static let mostParameterBytes = 4096
  private static let mostArguments = 31

  /// Throws for what the device would refuse, or silently get wrong.
  init(bytes: [UInt8], buffers: [GPUBuffer], device: MTLDevice, pipelines: PipelineCache) throws {
    let storage = try buffers.map { try $0.storage() }
    var reader = Reader(bytes: bytes)
    var launches: [Launch] = []
    while !reader.isAtEnd {
      let launch = try reader.launch(launches.count, buffers, storage, device, pipelines)
      launches.append(launch)
    }
    self.bytes = bytes
    self.buffers = storage
    self.launches = launches
  }

  private struct Reader {
    let bytes: [UInt8]
    var at = 0

    var isAtEnd: Bool { at == bytes.count }

    /// Swift and the target are little-endian both.
    mutating func next<T>(_ type: T.Type) throws -> T {
      let size = MemoryLayout<T>.size
      guard bytes.count - at >= size else {
        throw MetalError(.invalidArgument, "The command list is cut short after \(bytes.count) bytes.")
      }
      defer { at += size }
      return bytes.withUnsafeBytes { $0.loadUnaligned(fromByteOffset: at, as: T.self) }
    }

    mutating func launch(
      _ number: Int, _ buffers: [GPUBuffer], _ storage: [GPUBuffer.Storage], _ device: MTLDevice,
      _ pipelines: PipelineCache
    ) throws -> Launch {
      let head = try next(tilewright_launch.self)
      guard let pipeline = pipelines.pipeline(Int(head.pipeline)) else {
        throw MetalError(.invalidArgument, "Launch \(number): there is no pipeline \(head.pipeline).")
      }
      func refuse(_ why: String, _ details: [String: MetalError.Detail] = [:]) -> MetalError {
        var details = details
        details["kernel"] = .text(pipeline.name)
        details["launch"] = .number(number)
        return MetalError(.kernelLaunch, "Kernel \(pipeline.name) (launch \(number)): \(why).", details)
      }
      guard head.threadgroup_memory_count <= mostArguments, head.binding_count <= mostArguments else {
        throw refuse("a kernel has at most \(mostArguments) arguments of a kind")
      }
      let threadgroups = MTLSize(head.threadgroups)
      let threads = MTLSize(head.threads)
      guard threadgroups.volume > 0 else { throw refuse("the grid is empty") }
      let most = pipeline.state.maxTotalThreadsPerThreadgroup
      guard threads.volume > 0, threads.volume <= UInt64(most) else {
        throw refuse(
          "\(threads.volume) threads per threadgroup; this device runs 1 to \(most) of this kernel",
          ["threads": .number(Int(clamping: threads.volume)), "most": .number(most)])
      }
      // Metal takes multiples of 16.
      let memory = try (0..<head.threadgroup_memory_count).map { _ in (Int(try next(UInt32.self)) + 15) / 16 * 16 }
      let total = memory.reduce(0, +) + pipeline.state.staticThreadgroupMemoryLength
      guard total <= device.maxThreadgroupMemoryLength else {
        throw refuse(
          "\(total) bytes of threadgroup memory; this device has \(device.maxThreadgroupMemoryLength)",
          ["threadgroupBytes": .number(total), "most": .number(device.maxThreadgroupMemoryLength)])
      }
      var bound: UInt32 = 0
      func bind(_ argument: UInt32) throws {
        guard argument < UInt32(mostArguments) else { throw refuse("buffer indices go from 0 to \(mostArguments - 1)") }
        guard bound & 1 << argument == 0 else { throw refuse("buffer \(argument) is bound twice") }
        bound |= 1 << argument
      }
      let bindings = try (0..<head.binding_count).map { _ in
        let binding = try next(tilewright_binding.self)
        try bind(binding.argument)
        guard binding.buffer < buffers.count else {
          throw refuse("there is no buffer \(binding.buffer) in the list of \(buffers.count)")
        }
        let buffer = buffers[Int(binding.buffer)]
        guard binding.offset < UInt64(max(buffer.length, 1)) else {
          throw MetalError(
            .outOfBounds,
            "Kernel \(pipeline.name): offset \(binding.offset) of buffer \(binding.argument) lies outside its "
              + "\(buffer.length) bytes.", ["kernel": .text(pipeline.name)])
        }
        guard !buffer.isReadOnly || pipeline.written & 1 << binding.argument == 0 else {
          throw MetalError(
            .invalidArgument,
            "Kernel \(pipeline.name) writes to buffer \(binding.argument), but that is a mapped file, which is "
              + "read-only.", ["kernel": .text(pipeline.name)])
        }
        return Launch.Binding(
          argument: Int(binding.argument), buffer: Int(binding.buffer),
          offset: storage[Int(binding.buffer)].offset + Int(binding.offset))
      }
      let argument = try next(UInt32.self)
      let count = Int(head.parameter_bytes)
      guard count % 4 == 0, count <= mostParameterBytes else {
        throw refuse("parameters take a multiple of 4 and at most \(mostParameterBytes) bytes, not \(count)")
      }
      guard bytes.count - at >= count else {
        throw MetalError(.invalidArgument, "The command list is cut short after \(bytes.count) bytes.")
      }
      if count > 0 { try bind(argument) }
      defer { at += count }
      if let missing = pipeline.arguments.first(where: { bound & 1 << UInt32($0.index) == 0 }) {
        throw refuse("buffer \(missing.index) (\(missing.name)) is not bound", ["buffer": .text(missing.name)])
      }
      return Launch(
        pipeline: pipeline, threadgroups: threadgroups, threads: threads, threadgroupMemory: memory,
        bindings: bindings, parameterArgument: Int(argument), parameters: at..<at + count)
    }
  }
}

extension MTLSize {
  fileprivate init(_ sizes: (UInt32, UInt32, UInt32)) {
    self.init(width: Int(sizes.0), height: Int(sizes.1), depth: Int(sizes.2))
  }

  /// Saturated product: three 32-bit factors may not fit.
  fileprivate var volume: UInt64 {
    let (plane, first) = UInt64(width).multipliedReportingOverflow(by: UInt64(height))
    let (all, second) = plane.multipliedReportingOverflow(by: UInt64(depth))
    return first || second ? .max : all
  }
}

/// Which launches of an encoder may run side by side: those between which no buffer is written that the other touches.
struct Hazards {
  private var read: Set<ObjectIdentifier> = []
  private var written: Set<ObjectIdentifier> = []

  /// Adds a launch; true when a barrier has to stand before it.
  mutating func add(_ launch: Launch, _ buffers: [GPUBuffer.Storage]) -> Bool {
    func writes(_ binding: Launch.Binding) -> Bool { launch.pipeline.written & 1 << UInt32(binding.argument) != 0 }
    let uses = launch.bindings.map { (ObjectIdentifier(buffers[$0.buffer].buffer), writes($0)) }
    let collides = uses.contains { buffer, writes in written.contains(buffer) || (writes && read.contains(buffer)) }
    if collides {
      read.removeAll(keepingCapacity: true)
      written.removeAll(keepingCapacity: true)
    }
    for (buffer, writes) in uses {
      if writes { written.insert(buffer) } else { read.insert(buffer) }
    }
    return collides
  }
}
