import Foundation

/// A GPU: its memory, its kernels and its queue.
public final class GPUDevice: @unchecked Sendable {
  /// Bytes of buffers that are alive, mapped files not counted: those the system can drop from memory.
  private final class Meter: @unchecked Sendable {
    private let lock = NSLock()
    private var bytes = 0

    func take(_ count: Int, of limit: Int) -> Bool {
      lock.withLock {
        guard count <= limit - bytes else { return false }
        bytes += count
        return true
      }
    }

    func give(_ count: Int) { lock.withLock { bytes -= count } }

    var current: Int { lock.withLock { bytes } }
  }

  public let info: DeviceInfo
  let device: MTLDevice
  private let pipelines: PipelineCache
  private let work: WorkQueue
  private let meter = Meter()
  private let isShort = Locked(false)
  private let pressure: MemoryPressure
  private let closeTimeout: Double

  /// Every device of this machine; the default one first.
  public static func list() -> [DeviceInfo] { Platform.devices(nil).map(DeviceInfo.init) }

  public convenience init(options: DeviceOptions = DeviceOptions()) throws {
    let all = Platform.devices(options.software)
    let found =
      options.device.map { wanted in all.filter { $0.name == wanted || String($0.registryID) == wanted } } ?? all
    guard let device = found.first else {
      throw MetalError(
        .unavailable,
        all.isEmpty
          ? "This machine has no Metal device."
          : "No Metal device is called \(options.device ?? ""): there is \(all.map(\.name).joined(separator: ", ")).",
        ["devices": .number(all.count)])
    }
    try self.init(device: device, options: options)
  }

  /// Over a device that is known already.
  public init(device: MTLDevice, options: DeviceOptions) throws {
    guard let queue = device.makeCommandQueue(maxCommandBufferCount: WorkQueue.commandBuffers) else {
      throw MetalError(.unavailable, "\(device.name) gives no command queue.")
    }
    queue.label = "tilewright"
    let info = DeviceInfo(device)
    self.device = device
    self.info = info
    pipelines = PipelineCache(device: device, info: info, cacheFolder: options.cacheFolder)
    work = WorkQueue(
      encoder: ChunkEncoder(device: device, queue: queue), timeout: max(0.01, (options.timeoutMs ?? 120_000) / 1000),
      mostRuns: max(1, options.maxInFlight ?? 256))
    closeTimeout = max(0, (options.closeTimeoutMs ?? 5000) / 1000)
    pressure = MemoryPressure(device: device) { [isShort] isCritical in isShort.set(isCritical) }
  }

  /// Zeroed memory of `length` bytes.
  public func allocate(_ length: Int) throws -> GPUBuffer {
    try checkOpen()
    guard length >= 0 else { throw MetalError(.invalidArgument, "A buffer has no \(length) bytes.") }
    let details: [String: MetalError.Detail] = [
      "byteLength": .number(length), "allocatedBytes": .number(meter.current),
      "workingSetBytes": .number(info.workingSetBytes),
    ]
    guard length <= device.maxBufferLength else {
      throw MetalError(
        .outOfMemory, "A buffer of this device has at most \(device.maxBufferLength) bytes, not \(length).", details)
    }
    guard !isShort.get() else {
      throw MetalError(
        .outOfMemory, "The system is critically short of memory: a buffer of \(length) bytes is refused.", details)
    }
    let bytes = max(length, 1)
    // Metal would give more than the GPU can hold, and then spend its time on swapping.
    guard meter.take(bytes, of: info.workingSetBytes) else {
      throw MetalError(
        .outOfMemory,
        "\(length) bytes are more than is left of the GPU's working set (\(meter.current) of "
          + "\(info.workingSetBytes) bytes are taken): release buffers first.", details)
    }
    guard let buffer = Platform.releasing({ device.makeBuffer(length: bytes, options: .storageModeShared) }) else {
      meter.give(bytes)
      throw MetalError(.outOfMemory, "Metal has no memory for a buffer of \(length) bytes.", details)
    }
    let lease = Lease { [meter] in meter.give(bytes) }
    return GPUBuffer(storage: .init(buffer: buffer, offset: 0, owner: lease), length: length)
  }

  public func map(_ path: String) throws -> GPUMapping {
    try checkOpen()
    return try GPUMapping(path: path, device: device)
  }

  /// Compiles MSL that includes no files, once; gives the number that ``pipeline`` asks for.
  public func library(
    source: String, options: LibraryOptions, completion: @escaping @Sendable (Result<Int, MetalError>) -> Void
  ) throws {
    try checkOpen()
    pipelines.library(source: source, options: options, completion: completion)
  }

  /// A kernel of a library with its function constants (12 bytes each: index, type, value), made once.
  public func pipeline(
    library: Int, name: String, constants: [UInt8],
    completion: @escaping @Sendable (Result<Int, MetalError>) -> Void
  ) throws {
    try checkOpen()
    try pipelines.pipeline(library: library, name: name, constants: constants, completion: completion)
  }

  public func pipelineInfo(_ id: Int) throws -> PipelineInfo { try pipelines.info(id) }

  /// Runs `tilewright_launch` records, after all that was submitted before.
  public func submit(
    commands: [UInt8], buffers: [GPUBuffer], timed: Bool,
    completion: @escaping @Sendable (Result<RunReport, MetalError>) -> Void
  ) throws -> Submission {
    try checkOpen()
    return try work.submit(Run(list: try decode(commands, buffers), isTimed: timed, completion: completion))
  }

  func decode(_ commands: [UInt8], _ buffers: [GPUBuffer]) throws -> CommandList {
    try CommandList(bytes: commands, buffers: buffers, device: device, pipelines: pipelines)
  }

  /// Waits for work in flight (bounded), writes the cache. Twice is no error.
  public func close() {
    work.close(wait: closeTimeout)
    pipelines.save()
  }

  func checkOpen() throws {
    if let reason = work.reason { throw reason }
  }
}

/// Does something when the last one lets go of it.
final class Lease: Sendable {
  private let end: @Sendable () -> Void
  init(end: @escaping @Sendable () -> Void) { self.end = end }
  deinit { end() }
}
