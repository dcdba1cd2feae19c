import Foundation

/// What became of a list; JSON for TypeScript.
public struct RunReport: Encodable, Equatable, Sendable {
  /// Part of the list never ran.
  public let cancelled: Bool
  public let total: Span
  /// One per launch; nil when they were not asked for.
  public let times: [Span]?

  private enum Keys: String, CodingKey { case cancelled, total, times }

  /// `times` is there as null, too.
  public func encode(to encoder: Encoder) throws {
    var container = encoder.container(keyedBy: Keys.self)
    try container.encode(cancelled, forKey: .cancelled)
    try container.encode(total, forKey: .total)
    try container.encode(times, forKey: .times)
  }
}

/// A list on its way through the device. Its state belongs to the queue's lock.
final class Run: @unchecked Sendable {
  typealias Completion = @Sendable (Result<RunReport, MetalError>) -> Void

  let list: CommandList
  let isTimed: Bool
  private let completion: Completion
  /// Command buffers that are committed, or not encoded yet.
  var unfinished = 0
  var isCancelled = false
  var error: MetalError?
  private var total: Span?
  private var times: [Span]

  init(list: CommandList, isTimed: Bool, completion: @escaping Completion) {
    self.list = list
    self.isTimed = isTimed
    self.completion = completion
    times = isTimed ? Array(repeating: Span(begin: 0, end: 0), count: list.launches.count) : []
  }

  func add(_ spans: [Span], at launches: Range<Int>) {
    guard let first = spans.map(\.begin).min(), let last = spans.map(\.end).max() else { return }
    total = Span(begin: min(first, total?.begin ?? first), end: max(last, total?.end ?? last))
    if isTimed { times.replaceSubrange(launches, with: spans) }
  }

  /// Not under the lock: it calls into TypeScript's side.
  func finish() {
    if let error { return completion(.failure(error)) }
    completion(
      .success(
        RunReport(
          cancelled: isCancelled, total: total ?? Span(begin: 0, end: 0), times: isTimed && !isCancelled ? times : nil))
    )
  }
}

/// A list that was submitted. Dropping it changes nothing.
public final class Submission: Sendable {
  private let cancelRun: @Sendable () -> Void

  init(cancel: @escaping @Sendable () -> Void) { cancelRun = cancel }

  /// What is not on the GPU yet will not get there.
  public func cancel() { cancelRun() }
}
