import Foundation
import Testing

@testable import MetalRuntime
@testable import SoftMetal

@Suite("Memory") struct MemoryTests {
  @Test("is refused beyond the working set, the largest buffer, and what the system has") func limits() throws {
    var configuration = SoftConfiguration()
    configuration.workingSetBytes = 10_000
    configuration.maxBufferBytes = 20_000
    configuration.memoryLimitBytes = 9_000
    let rig = try Rig(configuration)
    func code(_ length: Int) -> MetalError.Code? {
      do {
        _ = try rig.device.allocate(length)
        return nil
      } catch { return (error as? MetalError)?.code }
    }
    #expect(code(-1) == .invalidArgument)
    #expect(code(20_001) == .outOfMemory)
    #expect(code(10_001) == .outOfMemory)
    #expect(code(9_500) == .outOfMemory)
    // What was refused, and what was released, is not counted.
    for _ in 0..<10 { #expect(code(9_000) == nil) }
    let held = try rig.device.allocate(6_000)
    #expect(code(6_000) == .outOfMemory)
    held.release()
    held.release()
    #expect(code(6_000) == nil)
    #expect(try rig.device.allocate(0).length == 0)
  }

  @Test("is refused while the system is critically short of it") func pressure() throws {
    let rig = try Rig()
    rig.soft.reportMemoryPressure(isCritical: true)
    #expect(throws: MetalError.self) { try rig.device.allocate(16) }
    rig.soft.reportMemoryPressure(isCritical: false)
    _ = try rig.device.allocate(16)
  }

  @Test("is checked at its borders") func bounds() throws {
    let rig = try Rig()
    let buffer = try rig.words([1, 2, 3])
    #expect(try buffer.word(2) == 3)
    #expect(throws: MetalError.self) { try buffer.word(3) }
    #expect(throws: MetalError.self) { try buffer.word(-1) }
    var bytes = [UInt8](repeating: 0, count: 13)
    #expect(throws: MetalError.self) { try bytes.withUnsafeMutableBytes { try buffer.read(into: $0, offset: 0) } }
    #expect(throws: MetalError.self) { try bytes.withUnsafeBytes { try buffer.write($0, offset: .max) } }
  }
}

@Suite("Mapped files") struct MappingTests {
  /// A file of `count` words: 0, 1, 2, ...
  private func file(_ count: Int) throws -> URL {
    let url = FileManager.default.temporaryDirectory.appendingPathComponent("\(UUID()).bin")
    try (0..<UInt32(count)).map { $0 }.withUnsafeBytes { Data($0) }.write(to: url)
    return url
  }

  @Test("are the GPU's memory without a copy, at any offset") func ranges() async throws {
    let url = try file(10_000)
    defer { try? FileManager.default.removeItem(at: url) }
    let rig = try Rig()
    let mapping = try rig.device.map(url.path)
    #expect(mapping.length == 40_000)
    for (offset, length) in [(0, 40_000), (4, 8), (4092, 8), (4096, 4096), (39_996, 4), (8_200, 20_000)] {
      let part = try mapping.range(offset: offset, length: length)
      #expect(try part.word() == UInt32(offset / 4))
      #expect(try part.word(length / 4 - 1) == UInt32((offset + length) / 4 - 1))
      #expect(part.isReadOnly && part.length == length)
    }
    // A change of the file shows: nothing was copied.
    let part = try mapping.range(offset: 4096, length: 8)
    let handle = try FileHandle(forWritingTo: url)
    try handle.seek(toOffset: 4100)
    try handle.write(contentsOf: Data([9, 0, 0, 0]))
    #expect(try part.word(1) == 9)

    let step = try await rig.pipeline()
    let x = try rig.words([5])
    var list = ListBuilder()
    list.add(step, y: (1, 4))
    try await rig.run(list, [x, part])
    #expect(try x.word() == 15 + 9)
    // Whoever would write to it is refused.
    var bad = ListBuilder()
    bad.add(step, x: (1, 0), y: (0, 0))
    #expect(await code { try await rig.run(bad, [x, part]) } == .invalidArgument)
    #expect(throws: MetalError.self) { try [UInt8(1)].withUnsafeBytes { try part.write($0, offset: 0) } }
  }

  @Test("stay as long as one of their buffers") func lifetime() throws {
    let url = try file(100)
    let rig = try Rig()
    var part: GPUBuffer?
    weak var file: MappedFile?
    do {
      let mapping = try rig.device.map(url.path)
      part = try mapping.range(offset: 40, length: 4)
      file = try part?.storage().file
      mapping.release()
      mapping.release()
      #expect(throws: MetalError.self) { try mapping.range(offset: 0, length: 4) }
    }
    try FileManager.default.removeItem(at: url)
    #expect(try part?.word() == 10)
    part = nil
    #expect(file == nil)
    #expect(rig.soft.currentAllocatedSize == 0)
  }

  @Test("are refused when they are none, are empty, or were cut short") func errors() throws {
    let rig = try Rig()
    #expect(throws: MetalError.self) { try rig.device.map("/nonexistent") }
    #expect(throws: MetalError.self) { try rig.device.map("/tmp") }
    #expect(throws: MetalError.self) { try rig.device.map("/dev/null") }
    let url = try file(10_000)
    defer { try? FileManager.default.removeItem(at: url) }
    let mapping = try rig.device.map(url.path)
    #expect(throws: MetalError.self) { try mapping.range(offset: 0, length: 40_001) }
    #expect(throws: MetalError.self) { try mapping.range(offset: 40_001, length: 0) }
    #expect(throws: MetalError.self) { try mapping.range(offset: -4, length: 4) }
    #expect(try mapping.range(offset: 40_000, length: 0).length == 0)
    let part = try mapping.range(offset: 36_000, length: 4)
    try FileHandle(forWritingTo: url).truncate(atOffset: 100)
    #expect(throws: MetalError.self) { try part.word() }
  }
}

@Suite("Pipelines") struct PipelineTests {
  @Test("are made once, however many ask at once") func once() async throws {
    let rig = try Rig()
    let ids = try await withThrowingTaskGroup(of: Int.self) { group in
      for _ in 0..<20 { group.addTask { try await rig.pipeline() } }
      return try await group.reduce(into: Set<Int>()) { $0.insert($1) }
    }
    #expect(ids.count == 1)
    #expect(rig.soft.compilations == 1)
    #expect(try rig.device.pipelineInfo(ids.first!).maxTotalThreadsPerThreadgroup == 256)
    // Other constants, another pipeline.
    let other = try await rig.pipeline(constants: [0, 0, 0, 0, 1, 0, 0, 0, 7, 0, 0, 0])
    #expect(!ids.contains(other))
    #expect(throws: MetalError.self) { try rig.device.pipelineInfo(99) }
  }

  @Test("fail with what the compiler says, and may be tried again") func errors() async throws {
    let rig = try Rig()
    do {
      _ = try await rig.pipeline(source: "error")
      Issue.record("no error")
    } catch let error as MetalError {
      #expect(error.code == .kernelCompile)
      #expect(error.message.contains("program_source:1:1: error: as asked"))
      #expect(error.description.hasPrefix(#"{"code":"ERR_KERNEL_COMPILE","details":{"#))
    }
    #expect(await code { _ = try await rig.pipeline("other") } == .kernelUnknown)
    // A constant of another type than the kernel's, of no type, of too few bytes.
    #expect(
      await code { _ = try await rig.pipeline(constants: [0, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0]) } == .kernelCompile)
    #expect(
      await code { _ = try await rig.pipeline(constants: [0, 0, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0]) } == .invalidArgument)
    #expect(await code { _ = try await rig.pipeline(constants: [0]) } == .invalidArgument)
    _ = try await rig.pipeline()
  }

  @Test("are kept on disk, per source, device and system") func archives() async throws {
    let folder = FileManager.default.temporaryDirectory.appendingPathComponent("\(UUID())/cache")
    defer { try? FileManager.default.removeItem(at: folder.deletingLastPathComponent()) }
    var options = DeviceOptions()
    options.cacheFolder = folder.path
    func compilations(_ configuration: SoftConfiguration = SoftConfiguration(), source: String = "a") async throws
      -> Int
    {
      let rig = try Rig(configuration, options: options)
      _ = try await rig.pipeline(source: source)
      _ = try await rig.pipeline("slow", source: source)
      rig.device.close()
      return rig.soft.compilations
    }
    // The archive compiles what it is given; the pipeline comes from it.
    let first = try await compilations()
    #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path).count == 1)
    #expect(try await compilations() == 0)
    #expect(try await compilations(source: "b") == first)
    var other = SoftConfiguration()
    other.architecture = "other"
    #expect(try await compilations(other) == first)
    #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path).count == 3)
    for name in try FileManager.default.contentsOfDirectory(atPath: folder.path) {
      try Data("damaged".utf8).write(to: folder.appendingPathComponent(name))
    }
    #expect(try await compilations() == first)
    #expect(try await compilations() == 0)
  }
}

@Suite("A device") struct DeviceTests {
  @Test("tells what it can do, in the names that TypeScript knows") func info() throws {
    var configuration = SoftConfiguration()
    configuration.families = ["apple6"]
    let info = try Rig(configuration).device.info
    #expect(!info.simdgroupMatrix && !info.bfloat && info.software)
    let full = try Rig().device.info
    #expect(full.simdgroupMatrix && full.bfloat && full.maxThreadgroupBytes == 32768)
    #expect(json(full).contains(#""registryId":"1""#))
  }

  @Test("is refused where there is none of that name, and for options that are no JSON") func options() throws {
    #expect(throws: MetalError.self) { try DeviceOptions(json: "{") }
    #expect(throws: MetalError.self) { try GPUDevice(options: DeviceOptions(json: #"{"device":"none of that name"}"#)) }
    _ = try GPUDevice(options: DeviceOptions(json: #"{"device":"SoftMetal"}"#))
    _ = try GPUDevice(options: DeviceOptions(json: ""))
  }
}
