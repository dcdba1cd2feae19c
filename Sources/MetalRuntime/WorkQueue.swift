import Foundation

/// Lists in order, a few command buffers of them on the GPU at a time. Every wait is bounded: a command buffer that does
/// not come back fails its list, and those behind it.
final class WorkQueue: @unchecked Sendable {
  /// Enough that the GPU never waits for the next one, and few enough that a cancelled list ends soon.
  private static let mostCommitted = 3
  static let commandBuffers = 8

  private struct Committed {
    let chunk: Chunk
    let deadline: DispatchTime
  }

  private let encoder: ChunkEncoder
  /// Seconds.
  private let timeout: Double
  private let mostRuns: Int
  private let lock = NSCondition()
  private var waiting: [Chunk] = []
  /// By number, in the order in which they were committed.
  private var committed: [Int: Committed] = [:]
  private var runs: [ObjectIdentifier: Run] = [:]
  /// Lists that have ended and whose callers are being told: outside the lock, and perhaps on a thread of the GPU's.
  private var telling = 0
  private var number = 0
  private var isWatching = false
  /// Why the device takes no work any more.
  private var end: MetalError?

  init(encoder: ChunkEncoder, timeout: Double, mostRuns: Int) {
    self.encoder = encoder
    self.timeout = timeout
    self.mostRuns = mostRuns
  }

  /// Why no work is taken; nil while it is.
  var reason: MetalError? { lock.withLock { end } }

  func submit(_ run: Run) throws -> Submission {
    try finishing {
      if let end { throw end }
      guard runs.count < mostRuns else {
        throw MetalError(
          .queueFull, "\(mostRuns) lists are in flight already: await some first.", ["maxInFlight": .number(mostRuns)])
      }
      let chunks = encoder.chunks(of: run)
      guard !chunks.isEmpty else { return [run] }
      run.unfinished = chunks.count
      runs[ObjectIdentifier(run)] = run
      waiting += chunks
      return commitMore()
    }
    return Submission { [weak self, weak run] in if let run { self?.cancel(run) } }
  }

  /// Do something under the lock, and then tell the callers of the lists that it ended.
  private func finishing(_ body: () throws -> [Run]) rethrows {
    let finished = try lock.withLock {
      let finished = try body()
      telling += finished.count
      return finished
    }
    guard !finished.isEmpty else { return }
    for run in finished { run.finish() }
    lock.withLock {
      telling -= finished.count
      lock.broadcast()
    }
  }

  private func cancel(_ run: Run) {
    finishing {
      let before = waiting.count
      waiting.removeAll { $0.run === run }
      guard waiting.count < before else { return [] }
      run.isCancelled = true
      return settle(run, before - waiting.count)
    }
  }

  /// Encode and commit while there is room. Gives the lists that this ended.
  private func commitMore() -> [Run] {
    var finished: [Run] = []
    while committed.count < Self.mostCommitted, !waiting.isEmpty {
      let chunk = waiting.removeFirst()
      do {
        try Platform.releasing {
          let encoded = try encoder.encode(chunk)
          number += 1
          let id = number
          committed[id] = Committed(chunk: chunk, deadline: .now() + timeout)
          let endInterval = Platform.interval { chunk.names.joined(separator: ", ") }
          // The handler is what keeps the queue alive while the GPU works, and is dropped when it has run.
          encoded.commandBuffer.addCompletedHandler { _ in
            endInterval?()
            self.completed(id, chunk, encoded)
          }
          encoded.commandBuffer.commit()
        }
      } catch {
        finished += fail(chunk.run, error as? MetalError ?? MetalError(.failure, "\(error)"), finished: 1)
      }
    }
    watch()
    return finished
  }

  private func completed(_ id: Int, _ chunk: Chunk, _ encoded: ChunkEncoder.Encoded) {
    finishing {
      // Given up on already.
      guard committed.removeValue(forKey: id) != nil else { return [] }
      var finished: [Run] = []
      if encoded.commandBuffer.status == .completed {
        chunk.run.add(encoder.times(of: chunk, encoded), at: chunk.launches)
        finished = settle(chunk.run, 1)
      } else {
        let (error, isDeviceLost) = MetalError.commandBuffer(encoded.commandBuffer.error)
        finished = fail(chunk.run, error, finished: 1)
        if isDeviceLost { finished += stop(error) }
      }
      return finished + commitMore()
    }
  }

  /// `count` chunks of a list are done with; gives the list when they were its last.
  private func settle(_ run: Run, _ count: Int) -> [Run] {
    run.unfinished -= count
    guard run.unfinished == 0 else { return [] }
    runs[ObjectIdentifier(run)] = nil
    lock.broadcast()
    return [run]
  }

  private func fail(_ run: Run, _ error: MetalError, finished: Int) -> [Run] {
    run.error = run.error ?? error
    let before = waiting.count
    waiting.removeAll { $0.run === run }
    return settle(run, finished + before - waiting.count)
  }

  /// Nothing runs any more: everything that is under way fails with `error`, and what comes later, too.
  private func stop(_ error: MetalError) -> [Run] {
    end = end ?? error
    let all = Array(runs.values)
    waiting = []
    committed = [:]
    runs = [:]
    for run in all { run.error = run.error ?? error }
    lock.broadcast()
    return all
  }

  /// Look at the deadlines now and then while something is on the GPU.
  private func watch() {
    guard !isWatching, !committed.isEmpty else { return }
    isWatching = true
    DispatchQueue.global(qos: .utility).asyncAfter(deadline: .now() + timeout / 4) { [weak self] in
      self?.checkDeadlines()
    }
  }

  private func checkDeadlines() {
    finishing {
      isWatching = false
      let now = DispatchTime.now()
      guard committed.values.contains(where: { $0.deadline < now }) else {
        watch()
        return []
      }
      return stop(
        MetalError(
          .failure, "The GPU did not answer within \(timeout) s; the device is not used any more. Open it again.",
          ["timeoutMs": .number(Int(timeout * 1000))]))
    }
  }

  /// Takes no more work, and waits for what is in flight, for `seconds` at most. Also for callers that are being told:
  /// Node frees what they are told through as soon as this returns when a process ends.
  func close(wait seconds: Double) {
    let deadline = Date(timeIntervalSinceNow: seconds)
    finishing {
      let closed = MetalError(.disposed, "The device was closed.")
      end = end ?? closed
      while !runs.isEmpty || telling > 0, lock.wait(until: deadline) {}
      return stop(MetalError(.failure, "The device was closed while the GPU was still at work after \(seconds) s."))
    }
  }
}
