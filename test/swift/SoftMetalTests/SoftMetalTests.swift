import Foundation
import Testing

@testable import SoftMetal

private let one = MTLSize(width: 1, height: 1, depth: 1)

private struct Bench {
  let device: SoftDevice
  let queue: MTLCommandQueue
  let pipeline: MTLComputePipelineState
  let x: MTLBuffer
  let y: MTLBuffer

  init(
    _ configuration: SoftConfiguration = SoftConfiguration(), compiler: HostCompiler = .step(),
    constants: MTLFunctionConstantValues = MTLFunctionConstantValues(0)
  ) throws {
    device = SoftDevice(configuration: configuration, compiler: compiler)
    queue = try #require(device.makeCommandQueue(maxCommandBufferCount: 4))
    pipeline = try Self.pipeline(device, constants)
    x = try #require(device.makeBuffer(length: 64, options: []))
    y = try #require(device.makeBuffer(length: 64, options: []))
  }

  static func pipeline(
    _ device: SoftDevice, _ constants: MTLFunctionConstantValues, archives: [MTLBinaryArchive]? = nil,
    options: MTLPipelineOption = []
  ) throws -> MTLComputePipelineState {
    let descriptor = MTLComputePipelineDescriptor()
    let library = try device.makeLibrary(source: "", options: nil)
    descriptor.computeFunction = try library.makeFunction(name: "step", constantValues: constants)
    descriptor.binaryArchives = archives
    var result: Result<MTLComputePipelineState, Error>?
    device.makeComputePipelineState(descriptor: descriptor, options: options) { state, _, error in
      result = state.map { .success($0) } ?? .failure(error!)
    }
    return try result!.get()
  }

  /// Runs what `encode` encodes; gives the completed command buffer.
  @discardableResult
  func run(
    _ type: MTLDispatchType = .serial, _ encode: (MTLComputeCommandEncoder) -> Void
  ) throws -> MTLCommandBuffer {
    let buffer = try #require(queue.makeCommandBuffer(descriptor: MTLCommandBufferDescriptor()))
    let encoder = try #require(buffer.makeComputeCommandEncoder(dispatchType: type))
    encode(encoder)
    encoder.endEncoding()
    buffer.commit()
    buffer.waitUntilCompleted()
    return buffer
  }

  func launch(_ encoder: MTLComputeCommandEncoder, adding p: UInt32, threads: MTLSize = one) {
    var p = p
    encoder.setComputePipelineState(pipeline)
    encoder.setBuffer(x, offset: 0, index: 0)
    encoder.setBuffer(y, offset: 0, index: 1)
    encoder.setBytes(&p, length: 4, index: 2)
    encoder.dispatchThreadgroups(one, threadsPerThreadgroup: threads)
  }
}

@Suite("The software device") struct DeviceTests {
  @Test("reports the families that it is given") func families() {
    var configuration = SoftConfiguration()
    configuration.families = ["apple6", "metal3"]
    let device = SoftDevice(configuration: configuration, compiler: HostCompiler.step())
    #expect(device.supportsFamily(.apple6) && device.supportsFamily(.metal3))
    #expect(!device.supportsFamily(.apple7) && !device.supportsFamily(.mac2))
  }

  @Test("reads changes from JSON, over its defaults") func overrides() throws {
    let json = """
      { "capabilities": { "simdgroupMatrix": false, "bfloat": false, "maxThreadgroupBytes": 8192 }, "timeoutMs": 5 }
      """
    let changes = try JSONDecoder().decode(SoftConfiguration.Overrides.self, from: Data(json.utf8))
    let configuration = SoftConfiguration([changes])
    #expect(configuration.families == ["apple5", "apple6", "mac2"])
    #expect(configuration.maxThreadgroupBytes == 8192)
    #expect(configuration.maxThreadgroupThreads == 1024)
    #expect(configuration.timeoutMs == 5)
  }

  @Test("is none where the configuration says so") func absent() {
    var configuration = SoftConfiguration()
    configuration.absent = true
    #expect(softDevices(configuration).isEmpty)
  }

  @Test("counts its memory and refuses beyond the limit") func memory() throws {
    var configuration = SoftConfiguration()
    configuration.memoryLimitBytes = 10_000
    configuration.maxBufferBytes = 8_000
    let device = SoftDevice(configuration: configuration, compiler: HostCompiler.step())
    var buffer = device.makeBuffer(length: 8_000, options: [])
    #expect(buffer?.contents().load(fromByteOffset: 7_992, as: UInt64.self) == 0)
    #expect(device.currentAllocatedSize == 8_000)
    #expect(device.makeBuffer(length: 2_001, options: []) == nil)
    buffer = nil
    #expect(device.currentAllocatedSize == 0)
    #expect(device.makeBuffer(length: 8_001, options: []) == nil)
    #expect(device.makeBuffer(length: 0, options: []) == nil)
  }

  @Test("takes whole pages of others' memory, and says when it is done with them") func noCopy() throws {
    let device = SoftDevice(compiler: HostCompiler.step())
    let page = Int(getpagesize())
    let memory = try #require(SoftBuffer.allocate(2 * page))
    var given = 0
    func make(_ pointer: UnsafeMutableRawPointer, _ length: Int) -> MTLBuffer? {
      device.makeBuffer(bytesNoCopy: pointer, length: length, options: []) { given += munmap($0, $1) == 0 ? 1 : 100 }
    }
    #expect(make(memory + 8, page) == nil)
    #expect(make(memory, page + 8) == nil)
    var buffer = make(memory, 2 * page)
    #expect(buffer?.contents() == memory)
    #expect(given == 0)
    buffer = nil
    #expect(given == 1)
  }
}

@Suite("Libraries and pipelines of SoftMetal") struct LibraryTests {
  @Test("fail as Metal's do") func errors() throws {
    let device = SoftDevice(compiler: HostCompiler.step())
    func code(_ body: () throws -> Void) -> [AnyHashable] {
      do {
        try body()
        return []
      } catch let error as NSError {
        return [error.domain, error.code]
      } catch {
        return ["\(error)"]
      }
    }
    #expect(code { _ = try device.makeLibrary(source: "error", options: nil) } == [MTLLibraryErrorDomain, 3])
    let library = try device.makeLibrary(source: "", options: nil)
    #expect(
      code { _ = try library.makeFunction(name: "other", constantValues: MTLFunctionConstantValues()) }
        == [MTLLibraryErrorDomain, 5])
    let wrong = MTLFunctionConstantValues()
    var value: Float = 1
    wrong.setConstantValue(&value, type: .float, index: 0)
    #expect(code { _ = try library.makeFunction(name: "step", constantValues: wrong) } == [MTLLibraryErrorDomain, 3])
    // A function with constants is not to be had without.
    #expect(library.makeFunction(name: "step") == nil)
    #expect(library.functionNames == ["step"])
  }

  @Test("refuse simdgroup_matrix on a GPU without it") func simdgroupMatrix() throws {
    var configuration = SoftConfiguration()
    configuration.families = ["apple6"]
    let device = SoftDevice(configuration: configuration, compiler: HostCompiler.step())
    let descriptor = MTLComputePipelineDescriptor()
    let library = try device.makeLibrary(source: "simdgroup_matrix<float, 8, 8>", options: nil)
    descriptor.computeFunction = try library.makeFunction(name: "step", constantValues: MTLFunctionConstantValues(0))
    var problem: Error?
    device.makeComputePipelineState(descriptor: descriptor, options: []) { _, _, error in problem = error }
    #expect((problem as? NSError)?.localizedDescription.contains("simdgroup_matrix") == true)
  }

  @Test("tell which arguments exist with the constants given") func reflection() throws {
    let device = SoftDevice(compiler: HostCompiler.step())
    let library = try device.makeLibrary(source: "", options: nil)
    for hasZ in [false, true] {
      let descriptor = MTLComputePipelineDescriptor()
      descriptor.computeFunction = try library.makeFunction(
        name: "step", constantValues: MTLFunctionConstantValues(0, hasZ: hasZ))
      var bindings: [MTLBinding] = []
      device.makeComputePipelineState(descriptor: descriptor, options: .argumentInfo) { _, reflection, _ in
        bindings = reflection?.bindings ?? []
      }
      #expect(bindings.map(\.index) == (hasZ ? [0, 1, 2, 3] : [0, 1, 2]))
      #expect(bindings.map { $0.access == .readWrite } == (hasZ ? [true, false, false, false] : [true, false, false]))
    }
  }

  @Test("come from archives, which belong to one architecture") func archives() throws {
    let url = FileManager.default.temporaryDirectory.appendingPathComponent("\(UUID()).metalarchive")
    defer { try? FileManager.default.removeItem(at: url) }
    let device = SoftDevice(compiler: HostCompiler.step())
    let archive = try device.makeBinaryArchive(descriptor: MTLBinaryArchiveDescriptor())
    #expect(throws: (any Error).self) {
      try Bench.pipeline(
        device, MTLFunctionConstantValues(1), archives: [archive], options: .failOnBinaryArchiveMiss)
    }
    let descriptor = MTLComputePipelineDescriptor()
    descriptor.computeFunction = try device.makeLibrary(source: "", options: nil).makeFunction(
      name: "step", constantValues: MTLFunctionConstantValues(1))
    try archive.addComputePipelineFunctions(descriptor: descriptor)
    try archive.serialize(to: url)

    let named = MTLBinaryArchiveDescriptor()
    named.url = url
    let again = SoftDevice(compiler: HostCompiler.step())
    let read = try again.makeBinaryArchive(descriptor: named)
    _ = try Bench.pipeline(again, MTLFunctionConstantValues(1), archives: [read], options: .failOnBinaryArchiveMiss)
    #expect(again.compilations == 0)
    // Another constant is another function.
    #expect(throws: (any Error).self) {
      try Bench.pipeline(again, MTLFunctionConstantValues(2), archives: [read], options: .failOnBinaryArchiveMiss)
    }
    var other = SoftConfiguration()
    other.architecture = "other"
    #expect(throws: (any Error).self) {
      try SoftDevice(configuration: other, compiler: HostCompiler.step()).makeBinaryArchive(descriptor: named)
    }
    try Data("damaged".utf8).write(to: url)
    #expect(throws: (any Error).self) { try again.makeBinaryArchive(descriptor: named) }
  }
}

@Suite("Command buffers of SoftMetal") struct CommandBufferTests {
  @Test("run launches with their constants, parameters and memory") func runs() throws {
    let bench = try Bench(constants: MTLFunctionConstantValues(100))
    bench.x.word = 5
    bench.y.word = 7
    let buffer = try bench.run { bench.launch($0, adding: 1000) }
    #expect(buffer.status == .completed && buffer.error == nil)
    #expect(bench.x.word == 15 + 7 + 1000 + 100)
    #expect(buffer.gpuEndTime >= buffer.gpuStartTime && buffer.gpuStartTime > 0)
  }

  @Test("keep order in serial passes, and in concurrent ones only where a barrier stands") func order() throws {
    func result(_ type: MTLDispatchType, barrier: Bool) throws -> UInt32 {
      let bench = try Bench()
      try bench.run(type) {
        bench.launch($0, adding: 1)
        if barrier { $0.memoryBarrier(scope: .buffers) }
        bench.launch($0, adding: 2)
      }
      return bench.x.word
    }
    #expect(try result(.serial, barrier: false) == 5)
    #expect(try result(.concurrent, barrier: true) == 5)
    // The second ran first: what a GPU may do, and seldom does.
    #expect(try result(.concurrent, barrier: false) == 7)
  }

  @Test(
    "end with an error where Metal's validation would object",
    arguments: ["unbound", "group", "grid", "memory", "odd memory", "no memory", "offset", "bytes", "pipeline"])
  func misuse(_ what: String) throws {
    var configuration = SoftConfiguration()
    configuration.maxThreadgroupBytes = 1024
    let bench = try Bench(configuration, compiler: .step(threadgroup: true, maxThreads: 64))
    let buffer = try bench.run { encoder in
      if what != "no memory" {
        encoder.setThreadgroupMemoryLength(what == "memory" ? 1040 : what == "odd memory" ? 8 : 16, index: 0)
      }
      if what != "pipeline" { encoder.setComputePipelineState(bench.pipeline) }
      if what != "unbound" { encoder.setBuffer(bench.y, offset: 0, index: 1) }
      encoder.setBuffer(bench.x, offset: what == "offset" ? 64 : 0, index: 0)
      let bytes = [UInt8](repeating: 0, count: 5000)
      encoder.setBytes(bytes, length: what == "bytes" ? 4100 : 4, index: 2)
      let groups = MTLSize(width: what == "grid" ? 0 : 1, height: 1, depth: 1)
      let threads = MTLSize(width: what == "group" ? 65 : 64, height: 1, depth: 1)
      encoder.dispatchThreadgroups(groups, threadsPerThreadgroup: threads)
    }
    #expect(buffer.status == .error)
    #expect((buffer.error as? NSError)?.domain == MTLCommandBufferErrorDomain)
  }

  @Test(
    "fail as they are told",
    arguments: [
      (SoftConfiguration.Failure.deviceRemoved, 11), (.outOfMemory, 8), (.timeout, 2), (.pageFault, 3), (.internal, 1),
    ])
  func failures(_ failure: SoftConfiguration.Failure, _ code: Int) throws {
    var configuration = SoftConfiguration()
    configuration.failFrom = 2
    configuration.failure = failure
    let bench = try Bench(configuration)
    #expect(try bench.run { bench.launch($0, adding: 1) }.status == .completed)
    for _ in 0..<2 {
      let buffer = try bench.run { bench.launch($0, adding: 1) }
      #expect((buffer.error as? NSError)?.code == code)
    }
    #expect(bench.x.word == 1)
  }

  @Test("keep their buffers until they have run") func lifetime() throws {
    let bench = try Bench()
    let buffer = try #require(bench.queue.makeCommandBuffer(descriptor: MTLCommandBufferDescriptor()))
    let encoder = try #require(buffer.makeComputeCommandEncoder(dispatchType: .serial))
    var own = bench.device.makeBuffer(length: 4096, options: [])
    let before = bench.device.currentAllocatedSize
    bench.launch(encoder, adding: 1)
    encoder.setBuffer(own, offset: 0, index: 1)
    encoder.dispatchThreadgroups(one, threadsPerThreadgroup: one)
    own = nil
    encoder.endEncoding()
    #expect(bench.device.currentAllocatedSize == before)
    buffer.commit()
    buffer.waitUntilCompleted()
    #expect(buffer.status == .completed)
    #expect(bench.device.currentAllocatedSize == before - 4096)
  }

  @Test("sample the clock between passes") func counters() throws {
    let bench = try Bench()
    let wanted = MTLCounterSampleBufferDescriptor()
    wanted.counterSet = bench.device.counterSets?.first
    wanted.sampleCount = 4
    let samples = try bench.device.makeCounterSampleBuffer(descriptor: wanted)
    let buffer = try #require(bench.queue.makeCommandBuffer(descriptor: MTLCommandBufferDescriptor()))
    for i in 0..<2 {
      let pass = MTLComputePassDescriptor()
      pass.sampleBufferAttachments[0].sampleBuffer = samples
      pass.sampleBufferAttachments[0].startOfEncoderSampleIndex = 2 * i
      pass.sampleBufferAttachments[0].endOfEncoderSampleIndex = 2 * i + 1
      let encoder = try #require(buffer.makeComputeCommandEncoder(descriptor: pass))
      bench.launch(encoder, adding: 1)
      encoder.endEncoding()
    }
    buffer.commit()
    buffer.waitUntilCompleted()
    let data = try #require(try samples.resolveCounterRange(0..<4))
    let times = data.withUnsafeBytes { Array($0.bindMemory(to: UInt64.self)) }
    #expect(times == times.sorted() && times[0] > 0 && times[3] < .max)
    #expect(throws: (any Error).self) { try samples.resolveCounterRange(0..<5) }
  }
}
