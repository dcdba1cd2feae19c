import Foundation
import Testing

@testable import MetalRuntime
@testable import SoftMetal

@Suite("Command lists") struct ListTests {
  @Test("run in order, however many command buffers they take", arguments: [1, 2, 63, 64, 65, 300])
  func order(_ count: Int) async throws {
    let rig = try Rig()
    let step = try await rig.pipeline()
    let buffers = [try rig.words([1]), try rig.words([0])]
    var list = ListBuilder()
    var expected: UInt32 = 1
    for i in 0..<count {
      list.add(step, p: UInt32(i))
      expected = 3 &* expected &+ UInt32(i)
    }
    let report = try await rig.run(list, buffers)
    #expect(try buffers[0].word() == expected)
    #expect(report.cancelled == false && report.times == nil && report.total.end > report.total.begin)
  }

  @Test("put barriers where one launch needs another, and nowhere else") func hazards() async throws {
    let rig = try Rig()
    let step = try await rig.pipeline()
    let buffers = try (0..<4).map { try rig.words([UInt32($0), 0]) }
    func barriers(_ launches: [(x: (Int, Int), y: (Int, Int))]) throws -> [Bool] {
      var list = ListBuilder()
      for launch in launches { list.add(step, x: launch.x, y: launch.y) }
      let decoded = try rig.device.decode(list.bytes, buffers)
      var hazards = Hazards()
      return decoded.launches.map { hazards.add($0, decoded.buffers) }
    }
    // Independent: different outputs, one input.
    #expect(try barriers([((0, 0), (3, 0)), ((1, 0), (3, 0)), ((2, 0), (3, 4))]) == [false, false, false])
    // Read after write, write after read, write after write.
    #expect(try barriers([((0, 0), (1, 0)), ((2, 0), (0, 0))]) == [false, true])
    #expect(try barriers([((0, 0), (1, 0)), ((1, 0), (2, 0))]) == [false, true])
    #expect(try barriers([((0, 0), (1, 0)), ((0, 4), (2, 0))]) == [false, true])
    // A barrier clears what was before it.
    #expect(try barriers([((0, 0), (1, 0)), ((2, 0), (0, 0)), ((3, 0), (1, 0))]) == [false, true, false])
  }

  @Test("give the right result whatever order the GPU picks between barriers") func randomHazards() async throws {
    var random = SystemRandomNumberGenerator()
    let rig = try Rig()
    let step = try await rig.pipeline()
    for _ in 0..<50 {
      var words = (0..<6).map { _ in UInt32.random(in: 0...9, using: &random) }
      let buffers = try words.map { try rig.words([$0]) }
      var list = ListBuilder()
      for i in 0..<40 {
        let (x, y) = (Int.random(in: 0..<6, using: &random), Int.random(in: 0..<6, using: &random))
        list.add(step, x: (x, 0), y: (y, 0), p: UInt32(i))
        words[x] = 3 &* words[x] &+ words[y] &+ UInt32(i)
      }
      try await rig.run(list, buffers)
      #expect(try buffers.map { try $0.word() } == words)
    }
  }

  @Test("are timed per launch, with and without sampled counters", arguments: [true, false])
  func times(_ sampling: Bool) async throws {
    var configuration = SoftConfiguration()
    configuration.counterSampling = sampling
    let rig = try Rig(configuration)
    let (step, slow) = (try await rig.pipeline(), try await rig.pipeline("slow"))
    var list = ListBuilder()
    for i in 0..<70 { list.add(i == 35 ? slow : step) }
    let report = try await rig.run(list, [try rig.words([1]), try rig.words([0])], timed: true)
    let times = try #require(report.times)
    #expect(times.count == 70)
    #expect(times.allSatisfy { $0.begin <= $0.end && $0.begin >= report.total.begin && $0.end <= report.total.end })
    #expect(zip(times, times.dropFirst()).allSatisfy { $0.end <= $1.begin })
    #expect(times[35].end - times[35].begin >= 2)
    #expect(json(report).contains("\"times\":[{\"begin\":"))
  }

  @Test("without launches are done at once") func empty() async throws {
    let rig = try Rig()
    let report = try await rig.run(ListBuilder(), [], timed: true)
    #expect(json(report) == #"{"cancelled":false,"times":[],"total":{"begin":0,"end":0}}"#)
    #expect(json(try await rig.run(ListBuilder(), [])).contains(#""times":null"#))
  }

  @Test("are refused for what a device would get wrong") func refusals() async throws {
    var configuration = SoftConfiguration()
    configuration.maxThreadgroupBytes = 1024
    let rig = try Rig(configuration)
    let step = try await rig.pipeline()
    let buffers = [try rig.words([1, 2]), try rig.words([0])]
    func refused(_ build: (inout ListBuilder) -> Void) async -> MetalError.Code? {
      var list = ListBuilder()
      build(&list)
      return await code { try await rig.run(list, buffers) }
    }
    #expect(await refused { $0.add(step + 1) } == .invalidArgument)
    #expect(await refused { $0.add(step, threads: 257) } == .kernelLaunch)
    #expect(await refused { $0.add(step, threads: 0) } == .kernelLaunch)
    #expect(await refused { $0.add(step, threads: .max) } == .kernelLaunch)
    #expect(await refused { $0.add(step, threadgroups: 0) } == .kernelLaunch)
    #expect(await refused { $0.add(step, memory: [1000, 32]) } == .kernelLaunch)
    #expect(await refused { $0.add(step, memory: [1000, 16]) } == nil)
    #expect(await refused { $0.add(step, x: (2, 0)) } == .kernelLaunch)
    #expect(await refused { $0.add(step, x: (0, 8)) } == .outOfBounds)
    #expect(await refused { $0.add(step, x: (0, 4)) } == nil)
    buffers[1].release()
    #expect(await refused { $0.add(step) } == .disposed)
  }

  @Test("that are damaged are refused, and never crash") func damage() async throws {
    let rig = try Rig()
    let step = try await rig.pipeline()
    let buffers = [try rig.words([1]), try rig.words([0])]
    var list = ListBuilder()
    list.add(step, memory: [16])
    list.add(step)
    // The bytes after which a launch ends; zero launches are a list.
    let whole = [0, list.bytes.count / 2 + 2, list.bytes.count]
    for end in 0..<list.bytes.count where !whole.contains(end) {
      #expect(throws: MetalError.self) { try rig.device.decode(Array(list.bytes[..<end]), buffers) }
    }
    var random = SystemRandomNumberGenerator()
    for _ in 0..<2000 {
      var bytes = list.bytes
      for _ in 0..<Int.random(in: 1...4, using: &random) {
        bytes[Int.random(in: 0..<bytes.count, using: &random)] = UInt8.random(in: 0...255, using: &random)
      }
      _ = try? rig.device.decode(bytes, buffers)
    }
  }
}
