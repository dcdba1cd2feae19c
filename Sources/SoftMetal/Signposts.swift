import Foundation

/// Intervals as a profiler records them, while one does.
public enum SoftSignposts {
  private static let lock = NSLock()
  nonisolated(unsafe) private static var recorded: [String]?

  public static func interval(_ text: () -> String) -> (@Sendable () -> Void)? {
    guard lock.withLock({ recorded != nil }) else { return nil }
    let told = text()
    return { lock.withLock { recorded?.append(told) } }
  }

  static func record() { lock.withLock { recorded = recorded ?? [] } }

  /// Stops recording. Gives the intervals that ended, in this order.
  static func take() -> [String] {
    lock.withLock {
      defer { recorded = nil }
      return recorded ?? []
    }
  }
}
