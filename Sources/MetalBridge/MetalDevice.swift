import Foundation
import MetalRuntime
import NodeAPI

/// A GPU as JavaScript sees it. Every error's message is JSON: `{ code, message, details }`.
@NodeClass @NodeActor final class MetalDevice {
  private let device: GPUDevice
  private let queue: NodeAsyncQueue

  private init(_ device: GPUDevice) throws {
    self.device = device
    queue = try NodeAsyncQueue(label: "tilewright.metal")
    // A process that ends does not wait long for the GPU, and leaves no thread behind that still writes.
    try Node.addCleanupHook { [weak device] in device?.close() }
  }

  @NodeMethod static func open(_ options: String) throws -> MetalDevice {
    try MetalDevice(GPUDevice(options: DeviceOptions(json: options)))
  }

  @NodeMethod static func devices() throws -> String { json(GPUDevice.list()) }

  @NodeMethod func info() throws -> String { json(device.info) }

  @NodeMethod func allocate(_ byteLength: Int) throws -> MetalBuffer {
    try MetalBuffer(device.allocate(byteLength), external: byteLength, queue)
  }

  @NodeMethod func map(_ path: String) throws -> MetalMapping {
    try MetalMapping(device.map(path), queue)
  }

  @NodeMethod func library(_ source: String, _ options: String) throws -> NodePromise {
    try promise { [device] done in
      try device.library(source: source, options: LibraryOptions(json: options), completion: done)
    }
  }

  @NodeMethod func pipeline(_ library: Int, _ name: String, _ constants: NodeTypedArray<UInt8>) throws -> NodePromise {
    let bytes = try constants.withUnsafeMutableBytes { Array($0) }
    return try promise { [device] done in
      try device.pipeline(library: library, name: name, constants: bytes, completion: done)
    }
  }

  @NodeMethod func pipelineInfo(_ id: Int) throws -> String { json(try device.pipelineInfo(id)) }

  @NodeMethod func submit(
    _ commands: NodeTypedArray<UInt8>, _ buffers: NodeArray, _ timed: Bool
  ) throws -> MetalSubmission {
    let bytes = try commands.withUnsafeMutableBytes { Array($0) }
    let memory = try (0..<buffers.count()).map { index in
      guard let buffer = try buffers[index].as(MetalBuffer.self) else {
        throw MetalError(.invalidArgument, "Element \(index) of the buffers is no MetalBuffer.")
      }
      return buffer.memory
    }
    var submission: Submission?
    let done = try promise { [device] (done: @escaping @Sendable (Result<String, MetalError>) -> Void) in
      submission = try device.submit(commands: bytes, buffers: memory, timed: timed) { result in
        done(result.map { json($0) })
      }
    }
    return MetalSubmission(done, submission)
  }

  @NodeMethod func startCapture(_ path: String) throws { try device.startCapture(path) }

  @NodeMethod func stopCapture() throws { try device.stopCapture() }

  @NodeMethod func close() throws { device.close() }

  /// A promise that `start` settles, from whatever thread. Node stays alive until then.
  private func promise<Value: NodeValueConvertible & Sendable>(
    _ start: (@escaping @Sendable (Result<Value, MetalError>) -> Void) throws -> Void
  ) throws -> NodePromise {
    let deferred = Held(try NodePromise.Deferred())
    let handle = try queue.handle()
    try start { [queue] result in
      // Fails when Node is on its way out: nobody waits any more.
      try? queue.run {
        try deferred.value(result.map { $0 as NodeValueConvertible }.mapError { $0 as Error })
        withExtendedLifetime(handle) {}
      }
    }
    return deferred.value.promise
  }
}

/// A value that moves between threads and is used on Node's alone.
struct Held<Value>: @unchecked Sendable {
  let value: Value
  init(_ value: Value) { self.value = value }
}
