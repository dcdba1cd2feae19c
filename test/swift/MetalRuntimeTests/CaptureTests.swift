import Foundation
import Testing

@testable import MetalRuntime
@testable import SoftMetal

@Suite("A capture", .serialized) struct CaptureTests {
  private func path(_ ending: String = "gputrace") -> String {
    FileManager.default.temporaryDirectory.appendingPathComponent("\(UUID()).\(ending)").path
  }

  @Test("needs a process that may be captured, and a path of its own") func refusals() async throws {
    let rig = try Rig()
    unsetenv("METAL_CAPTURE_ENABLED")
    #expect(await code { try rig.device.startCapture(path()) } == .unavailable)
    setenv("METAL_CAPTURE_ENABLED", "1", 1)
    #expect(await code { try rig.device.startCapture(path("txt")) } == .invalidArgument)
    #expect(await code { try rig.device.stopCapture() } == .invalidArgument)
    let there = path()
    try Data().write(to: URL(fileURLWithPath: there))
    #expect(await code { try rig.device.startCapture(there) } == .file)
    #expect(await code { try rig.device.startCapture("/nowhere/x.gputrace") } == .file)
    let first = path()
    try rig.device.startCapture(first)
    #expect(await code { try rig.device.startCapture(path()) } == .invalidArgument)
    try rig.device.stopCapture()
    rig.device.close()
    #expect(await code { try rig.device.startCapture(path()) } == .disposed)
  }

  @Test("holds the launches of its device between start and stop") func content() async throws {
    setenv("METAL_CAPTURE_ENABLED", "1", 1)
    let (rig, other) = (try Rig(), try Rig())
    let pipelines = (try await rig.pipeline(), try await rig.pipeline("slow"), try await other.pipeline())
    let buffers = [try rig.words([1]), try rig.words([0])]
    try await rig.run(ListBuilder { $0.add(pipelines.0) }, buffers)
    let document = path()
    try rig.device.startCapture(document)
    try await rig.run(
      ListBuilder {
        $0.add(pipelines.1)
        $0.add(pipelines.0)
      }, buffers)
    try await other.run(ListBuilder { $0.add(pipelines.2) }, [try other.words([1]), try other.words([0])])
    try rig.device.stopCapture()
    try await rig.run(ListBuilder { $0.add(pipelines.0) }, buffers)
    let told = try String(contentsOfFile: "\(document)/launches.txt", encoding: .utf8)
    #expect(told == "slow/slow\nstep/step\n")
  }

  @Test("intervals for a profiler are named after the kernels of a command buffer") func intervals() async throws {
    let rig = try Rig()
    let pipelines = (try await rig.pipeline(), try await rig.pipeline("slow"))
    let buffers = [try rig.words([1]), try rig.words([0])]
    let list = ListBuilder {
      $0.add(pipelines.1)
      $0.add(pipelines.0)
    }
    try await rig.run(list, buffers)
    SoftSignposts.record()
    try await rig.run(list, buffers)
    // Other tests run meanwhile, whose command buffers are told of as well.
    #expect(SoftSignposts.take().contains("slow, step"))
    try await rig.run(list, buffers)
    #expect(SoftSignposts.take().isEmpty)
  }
}
