import Foundation
import Testing

@testable import MetalRuntime
@testable import SoftMetal

/// Resident memory of this process, in bytes.
private func residentBytes() throws -> Int {
  let fields = try String(contentsOfFile: "/proc/self/statm", encoding: .utf8).split(separator: " ")
  return Int(fields[1])! * Int(getpagesize())
}

@Suite("The queue") struct QueueTests {
  @Test("leaks nothing in 10,000 submits") func leaks() async throws {
    weak var soft: SoftDevice?
    weak var device: GPUDevice?
    weak var buffer: GPUBuffer?
    do {
      let rig = try Rig()
      (soft, device) = (rig.soft, rig.device)
      let step = try await rig.pipeline()
      let buffers = [try rig.words([1]), try rig.words([0])]
      buffer = buffers[0]
      let list = ListBuilder {
        $0.add(step)
        $0.add(step)
      }
      let before = rig.soft.currentAllocatedSize
      for _ in 0..<1000 { try await rig.run(list, buffers) }
      let warm = try residentBytes()
      for i in 0..<9000 { try await rig.run(list, buffers, timed: i % 10 == 0) }
      #expect(rig.soft.currentAllocatedSize == before)
      // A list alone takes more than 500 bytes: 9000 that stay would be 4.5 MB and more.
      #expect(try residentBytes() - warm < 4 << 20)
      rig.device.close()
    }
    // The last command buffer's handler may still be on its way out of the device's thread.
    for _ in 0..<100 where soft != nil || device != nil || buffer != nil {
      try await Task.sleep(nanoseconds: 10_000_000)
    }
    #expect(buffer == nil)
    #expect(device == nil)
    #expect(soft == nil)
  }

  @Test("keeps several lists in flight, in order, from several threads") func concurrency() async throws {
    let rig = try Rig()
    let step = try await rig.pipeline()
    try await withThrowingTaskGroup(of: Void.self) { group in
      for task in 0..<4 {
        group.addTask {
          let other = try await rig.pipeline("step", source: "source \(task)")
          for i in 0..<50 {
            let buffers = [try rig.words([1]), try rig.words([UInt32(i)])]
            let list = ListBuilder { for _ in 0..<3 { $0.add(i % 2 == 0 ? step : other) } }
            async let first = rig.run(list, buffers, timed: i % 3 == 0)
            async let second = rig.run(list, buffers)
            _ = try await (first, second)
            let y = UInt32(i)
            // Six times x = 3 x + y.
            #expect(try buffers[0].word() == 729 &+ 364 &* y)
            for buffer in buffers { buffer.release() }
          }
        }
      }
      try await group.waitForAll()
    }
    rig.device.close()
    #expect(rig.soft.currentAllocatedSize == 0)
  }

  @Test("may be used from any thread, while it is closed, too") func threads() async throws {
    let rig = try Rig()
    let step = try await rig.pipeline()
    let list = ListBuilder { for _ in 0..<200 { $0.add(step) } }
    let group = DispatchGroup()
    // Threads of their own: the tasks of Swift's pool take turns more than they overlap.
    func thread(_ body: @escaping @Sendable (Int) throws -> Void) {
      group.enter()
      Thread.detachNewThread {
        // Closed in the meantime: refusals are as good as results.
        for i in 0..<300 { try? body(i) }
        group.leave()
      }
    }
    for _ in 0..<2 {
      thread { i in
        let buffer = try rig.device.allocate(64 + i)
        var bytes = [UInt8](repeating: 1, count: 64)
        try bytes.withUnsafeBytes { try buffer.write($0, offset: i) }
        try bytes.withUnsafeMutableBytes { try buffer.read(into: $0, offset: i) }
        if i % 2 == 0 { buffer.release() }
      }
      thread { i in
        let buffers = [try rig.words([1]), try rig.words([UInt32(i)])]
        let submission = try rig.device.submit(commands: list.bytes, buffers: buffers, timed: i % 4 == 0) { _ in }
        if i % 3 == 0 { submission.cancel() }
      }
      thread { i in
        try rig.device.library(source: "source \(i % 50)", options: LibraryOptions()) { _ in }
        _ = try rig.device.pipelineInfo(step)
        if i == 250 { rig.device.close() }
      }
    }
    await withCheckedContinuation { done in group.notify(queue: .global()) { done.resume() } }
    #expect(await code { _ = try rig.device.allocate(1) } == .disposed)
    #expect(rig.soft.currentAllocatedSize == 0)
  }

  @Test("drops what is not on the GPU yet when a list is cancelled, and goes on") func cancel() async throws {
    let rig = try Rig()
    let (step, slow) = (try await rig.pipeline(), try await rig.pipeline("slow"))
    let buffers = [try rig.words([1]), try rig.words([0])]
    var long = ListBuilder()
    for _ in 0..<400 { long.add(slow) }
    let report: RunReport = try await withCheckedThrowingContinuation { done in
      do {
        let submission = try rig.device.submit(commands: long.bytes, buffers: buffers, timed: true) {
          done.resume(with: $0)
        }
        submission.cancel()
        submission.cancel()
      } catch {
        done.resume(throwing: error)
      }
    }
    #expect(report.cancelled && report.times == nil)
    let list = ListBuilder { $0.add(step) }
    #expect(try await rig.run(list, buffers).cancelled == false)
  }

  @Test("refuses more lists than were agreed") func full() async throws {
    var options = DeviceOptions()
    options.maxInFlight = 2
    let rig = try Rig(options: options)
    let slow = try await rig.pipeline("slow")
    let buffers = [try rig.words([1]), try rig.words([0])]
    let list = ListBuilder { for _ in 0..<20 { $0.add(slow) } }
    async let first = code { try await rig.run(list, buffers) }
    async let second = code { try await rig.run(list, buffers) }
    async let third = code { try await rig.run(list, buffers) }
    let codes = await [first, second, third]
    #expect(codes.filter { $0 == .queueFull }.count == 1)
    #expect(codes.filter { $0 == nil }.count == 2)
  }

  @Test(
    "says what became of a list that the GPU failed",
    arguments: [
      (SoftConfiguration.Failure.outOfMemory, MetalError.Code.outOfMemory, MetalError.Code?.none),
      (.timeout, .failure, nil), (.pageFault, .failure, nil), (.internal, .failure, nil),
      // The device is not used any more after that.
      (.deviceRemoved, .unavailable, .unavailable),
    ])
  func failures(_ failure: SoftConfiguration.Failure, _ expected: MetalError.Code, _ after: MetalError.Code?)
    async throws
  {
    var configuration = SoftConfiguration()
    configuration.failFrom = 2
    configuration.failure = failure
    let rig = try Rig(configuration)
    let step = try await rig.pipeline()
    let buffers = [try rig.words([1]), try rig.words([0])]
    let list = ListBuilder { $0.add(step) }
    try await rig.run(list, buffers)
    #expect(await code { try await rig.run(list, buffers) } == expected)
    #expect(await code { _ = try rig.device.allocate(4) } == after)
    rig.device.close()
  }

  @Test("ends a list at its fault, and runs the next") func fault() async throws {
    let rig = try Rig()
    let (step, fault) = (try await rig.pipeline(), try await rig.pipeline("fault"))
    let buffers = [try rig.words([1]), try rig.words([0])]
    var bad = ListBuilder()
    for i in 0..<200 { bad.add(i == 70 ? fault : step) }
    #expect(await code { try await rig.run(bad, buffers) } == .failure)
    var good = ListBuilder()
    good.add(step)
    try await rig.run(good, buffers)
  }

  @Test("gives up on a GPU that does not answer, within the time agreed") func hang() async throws {
    var configuration = SoftConfiguration()
    configuration.failFrom = 1
    configuration.failure = .hang
    var options = DeviceOptions()
    options.timeoutMs = 100
    let rig = try Rig(configuration, options: options)
    let step = try await rig.pipeline()
    let buffers = [try rig.words([1]), try rig.words([0])]
    let list = ListBuilder { $0.add(step) }
    async let first = code { try await rig.run(list, buffers) }
    async let second = code { try await rig.run(list, buffers) }
    let codes = await [first, second]
    #expect(codes == [.failure, .failure])
    #expect(await code { try await rig.run(list, buffers) } == .failure)
  }

  @Test("closes within the time agreed, twice, and takes no work then") func close() async throws {
    var configuration = SoftConfiguration()
    configuration.failFrom = 2
    configuration.failure = .hang
    var options = DeviceOptions()
    options.closeTimeoutMs = 50
    let rig = try Rig(configuration, options: options)
    let step = try await rig.pipeline()
    let buffers = [try rig.words([1]), try rig.words([0])]
    let list = ListBuilder { $0.add(step) }
    try await rig.run(list, buffers)
    let stuck = Task { await code { try await rig.run(list, buffers) } }
    while rig.soft.commits < 2 { await Task.yield() }
    rig.device.close()
    rig.device.close()
    #expect(await stuck.value == .failure)
    #expect(await code { try await rig.run(list, buffers) } == .disposed)
    #expect(await code { _ = try rig.device.map("/etc/passwd") } == .disposed)
  }
}
