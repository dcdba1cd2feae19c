import Foundation

/// Every device: one, or none where the configuration says so.
public func MTLCopyAllDevices() -> [MTLDevice] {
  softDevices(SoftConfiguration([.fromEnvironment()]))
}

/// The same with a program's own wishes.
public func softDevices(_ configuration: SoftConfiguration) -> [MTLDevice] {
  return configuration.absent ? [] : [SoftDevice(configuration: configuration)]
}

public func MTLCreateSystemDefaultDevice() -> MTLDevice? {
  MTLCopyAllDevices().first
}

public final class SoftDevice: MTLDevice, @unchecked Sendable {
  public let configuration: SoftConfiguration
  let compiler: any SoftCompiler
  /// Where command buffers run, one after the other.
  let processor = DispatchQueue(label: "SoftMetal")

  private let lock = NSLock()
  private var allocated = 0
  private var committed = 0
  private var compiled = 0
  private var lost = false
  private var observers: [@Sendable (Bool) -> Void] = []

  public init(configuration: SoftConfiguration = SoftConfiguration(), compiler: (any SoftCompiler)? = nil) {
    self.configuration = configuration
    self.compiler = compiler ?? SimtCompiler(command: configuration.compiler)
  }

  public var name: String { configuration.name }
  public var registryID: UInt64 { 1 }
  public var architecture: MTLArchitecture { MTLArchitecture(name: configuration.architecture) }
  public var hasUnifiedMemory: Bool { true }
  public var recommendedMaxWorkingSetSize: UInt64 { configuration.workingSetBytes }
  public var currentAllocatedSize: Int { lock.withLock { allocated } }
  public var maxBufferLength: Int { configuration.maxBufferBytes }
  public var maxThreadgroupMemoryLength: Int { configuration.maxThreadgroupBytes }
  public var maxThreadsPerThreadgroup: MTLSize {
    let most = configuration.maxThreadgroupThreads
    return MTLSize(width: most, height: most, depth: most)
  }
  public var counterSets: [MTLCounterSet]? { configuration.counterSampling ? [SoftCounterSet()] : nil }
  /// How many pipelines were compiled, those from archives not counted.
  public var compilations: Int { lock.withLock { compiled } }

  /// How many command buffers have begun to run.
  public var commits: Int { lock.withLock { committed } }

  public func supportsFamily(_ gpuFamily: MTLGPUFamily) -> Bool {
    configuration.families.contains("\(gpuFamily)")
  }

  /// Like Apple's GPUs: between passes, not between the dispatches of one.
  public func supportsCounterSampling(_ samplingPoint: MTLCounterSamplingPoint) -> Bool {
    configuration.counterSampling && samplingPoint == .atStageBoundary
  }

  public func makeCommandQueue(maxCommandBufferCount: Int) -> MTLCommandQueue? {
    SoftCommandQueue(device: self, limit: maxCommandBufferCount)
  }

  public func makeBuffer(length: Int, options: MTLResourceOptions) -> MTLBuffer? {
    guard length > 0, length <= configuration.maxBufferBytes, take(length) else { return nil }
    guard let memory = SoftBuffer.allocate(length) else {
      give(length)
      return nil
    }
    return SoftBuffer(memory: memory, length: length, device: self) { pointer, length in munmap(pointer, length) }
  }

  public func makeBuffer(
    bytesNoCopy pointer: UnsafeMutableRawPointer, length: Int, options: MTLResourceOptions,
    deallocator: ((UnsafeMutableRawPointer, Int) -> Void)?
  ) -> MTLBuffer? {
    let page = Int(getpagesize())
    guard length > 0, length <= configuration.maxBufferBytes, length % page == 0, Int(bitPattern: pointer) % page == 0,
      take(length)
    else { return nil }
    return SoftBuffer(memory: pointer, length: length, device: self, deallocator: deallocator)
  }

  public func makeLibrary(source: String, options: MTLCompileOptions?) throws -> MTLLibrary {
    do {
      return SoftLibrary(source: source, signature: try compiler.check(source: source), device: self)
    } catch let problem as CompileFailure {
      throw Self.libraryError(problem)
    }
  }

  private static func libraryError(_ problem: CompileFailure) -> NSError {
    let code = problem.isInternal ? LibraryCode.internal : .compileFailure
    return failure(
      MTLLibraryErrorDomain, code.rawValue, problem.isInternal ? problem.log : "Compilation failed:\n\n\(problem.log)")
  }

  public func makeComputePipelineState(
    descriptor: MTLComputePipelineDescriptor, options: MTLPipelineOption,
    completionHandler: @escaping (MTLComputePipelineState?, MTLComputePipelineReflection?, Error?) -> Void
  ) {
    do {
      let pipeline = try pipeline(descriptor, options)
      let bindings = pipeline.function.parameters.compactMap(SoftBinding.init)
      let reflection = options.contains(.argumentInfo) ? MTLComputePipelineReflection(bindings: bindings) : nil
      completionHandler(pipeline, reflection, nil)
    } catch {
      completionHandler(nil, nil, error)
    }
  }

  private func pipeline(_ descriptor: MTLComputePipelineDescriptor, _ options: MTLPipelineOption) throws -> SoftPipeline
  {
    guard let function = descriptor.computeFunction as? SoftFunction else {
      throw failure(MTLLibraryErrorDomain, LibraryCode.functionNotFound.rawValue, "The descriptor has no function")
    }
    let archives = descriptor.binaryArchives?.compactMap { $0 as? SoftBinaryArchive } ?? []
    if !archives.contains(where: { $0.contains(function) }) {
      if options.contains(.failOnBinaryArchiveMiss) {
        throw failure(
          MTLLibraryErrorDomain, LibraryCode.compileFailure.rawValue, "\(function.name) is in none of the archives")
      }
      lock.withLock { compiled += 1 }
    }
    // What an Apple GPU of that family has no instructions for; comments may speak of it.
    let source = function.library.source
    let bare = source.replacingOccurrences(of: "//[^\n]*", with: "", options: .regularExpression)
    if !supportsFamily(.apple7), bare.contains("simdgroup_matrix") || bare.contains("simdgroup_float8x8") {
      throw failure(
        MTLLibraryErrorDomain, LibraryCode.unsupported.rawValue,
        "\(function.name): simdgroup_matrix needs a GPU of family Apple7 or later")
    }
    do {
      let code = try compiler.compile(source: source, kernel: function.name)
      return SoftPipeline(function: function, code: code, label: descriptor.label, device: self)
    } catch let problem as CompileFailure {
      throw Self.libraryError(problem)
    }
  }

  public func makeBinaryArchive(descriptor: MTLBinaryArchiveDescriptor) throws -> MTLBinaryArchive {
    try SoftBinaryArchive(architecture: configuration.architecture, url: descriptor.url)
  }

  public func makeCounterSampleBuffer(descriptor: MTLCounterSampleBufferDescriptor) throws -> MTLCounterSampleBuffer {
    guard configuration.counterSampling, descriptor.counterSet != nil, (1...4096).contains(descriptor.sampleCount)
    else { throw failure("MTLCounterErrorDomain", 0, "1 to 4096 samples of a counter set of this device") }
    return SoftCounterSampleBuffer(sampleCount: descriptor.sampleCount)
  }

  func observe(_ onChange: @escaping @Sendable (Bool) -> Void) { lock.withLock { observers.append(onChange) } }

  /// As if the system ran short of memory, or no longer did.
  public func reportMemoryPressure(isCritical: Bool) {
    for observer in lock.withLock({ observers }) { observer(isCritical) }
  }

  /// Count memory; false when there is no more.
  private func take(_ bytes: Int) -> Bool {
    lock.withLock {
      guard allocated + bytes <= configuration.memoryLimitBytes ?? Int.max else { return false }
      allocated += bytes
      return true
    }
  }

  fileprivate func give(_ bytes: Int) { lock.withLock { allocated -= bytes } }

  /// How the next command buffer fails, if it does.
  func nextFailure() -> SoftConfiguration.Failure? {
    lock.withLock {
      committed += 1
      if let from = configuration.failFrom, committed >= from { lost = true }
      return lost ? configuration.failure : nil
    }
  }
}

final class SoftBuffer: MTLBuffer, @unchecked Sendable {
  var label: String?
  let length: Int
  private let memory: UnsafeMutableRawPointer
  private let device: SoftDevice
  private let deallocator: ((UnsafeMutableRawPointer, Int) -> Void)?

  init(
    memory: UnsafeMutableRawPointer, length: Int, device: SoftDevice,
    deallocator: ((UnsafeMutableRawPointer, Int) -> Void)?
  ) {
    self.memory = memory
    self.length = length
    self.device = device
    self.deallocator = deallocator
  }

  deinit {
    deallocator?(memory, length)
    device.give(length)
  }

  func contents() -> UnsafeMutableRawPointer { memory }

  /// Zeroed memory; nil where the system has none.
  static func allocate(_ length: Int) -> UnsafeMutableRawPointer? {
    let memory = mmap(nil, length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
    return memory == MAP_FAILED ? nil : memory
  }
}

final class SoftCounterSet: MTLCounterSet {
  let name = MTLCommonCounterSet.timestamp.rawValue
}

final class SoftCounterSampleBuffer: MTLCounterSampleBuffer, @unchecked Sendable {
  let sampleCount: Int
  private let lock = NSLock()
  private var samples: [UInt64]

  init(sampleCount: Int) {
    self.sampleCount = sampleCount
    samples = Array(repeating: UInt64.max, count: sampleCount)
  }

  func set(_ index: Int, _ nanoseconds: UInt64) {
    lock.withLock { if samples.indices.contains(index) { samples[index] = nanoseconds } }
  }

  func resolveCounterRange(_ range: Range<Int>) throws -> Data? {
    guard range.lowerBound >= 0, range.upperBound <= sampleCount else {
      throw failure("MTLCounterErrorDomain", 2, "There are \(sampleCount) samples")
    }
    return lock.withLock { samples[range].withUnsafeBytes { Data($0) } }
  }
}
