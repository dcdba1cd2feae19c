import Foundation
import MetalRuntime
import NodeAPI

/// Memory of the GPU. What is never released goes with the garbage collector, which is told how much there is.
@NodeClass @NodeActor final class MetalBuffer {
  let memory: GPUBuffer
  private let external: ExternalBytes?

  init(_ memory: GPUBuffer, external bytes: Int, _ queue: NodeAsyncQueue) throws {
    self.memory = memory
    external = bytes > 0 ? try ExternalBytes(bytes, queue) : nil
  }

  @NodeProperty var byteLength: Int { memory.length }
  @NodeProperty var readOnly: Bool { memory.isReadOnly }

  @NodeMethod func write(_ bytes: NodeTypedArray<UInt8>, _ offset: Int) throws {
    try bytes.withUnsafeMutableBytes { try memory.write(UnsafeRawBufferPointer($0), offset: offset) }
  }

  @NodeMethod func read(_ into: NodeTypedArray<UInt8>, _ offset: Int) throws {
    try into.withUnsafeMutableBytes { try memory.read(into: UnsafeMutableRawBufferPointer($0), offset: offset) }
  }

  @NodeMethod func release() throws {
    memory.release()
    external?.end()
  }
}

/// A mapped file.
@NodeClass @NodeActor final class MetalMapping {
  private let mapping: GPUMapping
  private let queue: NodeAsyncQueue

  init(_ mapping: GPUMapping, _ queue: NodeAsyncQueue) {
    self.mapping = mapping
    self.queue = queue
  }

  @NodeProperty var byteLength: Int { mapping.length }

  @NodeMethod func range(_ offset: Int, _ length: Int) throws -> MetalBuffer {
    try MetalBuffer(mapping.range(offset: offset, length: length), external: 0, queue)
  }

  @NodeMethod func release() throws { mapping.release() }
}

/// A list under way.
@NodeClass @NodeActor final class MetalSubmission {
  /// Resolves with JSON: `{ cancelled, total, times }`, in milliseconds of the GPU's clock.
  @NodeProperty let done: NodePromise
  private let submission: Submission?

  init(_ done: NodePromise, _ submission: Submission?) {
    self.done = done
    self.submission = submission
  }

  @NodeMethod func cancel() throws { submission?.cancel() }
}

/// Bytes that V8 knows of, until they are gone.
final class ExternalBytes: @unchecked Sendable {
  private let bytes: Int64
  private let queue: NodeAsyncQueue
  private let lock = NSLock()
  private var isCounted = true

  @NodeActor init(_ bytes: Int, _ queue: NodeAsyncQueue) throws {
    self.bytes = Int64(bytes)
    self.queue = queue
    try Node.adjustExternalMemory(byBytes: self.bytes)
  }

  @NodeActor func end() {
    guard take() else { return }
    _ = try? Node.adjustExternalMemory(byBytes: -bytes)
  }

  private func take() -> Bool {
    lock.withLock {
      defer { isCounted = false }
      return isCounted
    }
  }

  deinit {
    // A finalizer must not call into Node: the count is put right in the next turn.
    guard take() else { return }
    try? queue.run { [bytes] in _ = try? Node.adjustExternalMemory(byBytes: -bytes) }
  }
}
