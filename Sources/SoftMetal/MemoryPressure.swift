import Foundation

/// What stands in for the system's word on memory: tests say it.
public final class SoftMemoryPressure: @unchecked Sendable {
  private static let lock = NSLock()
  nonisolated(unsafe) private static var observers: [ObjectIdentifier: @Sendable (Bool) -> Void] = [:]

  public init(onChange: @escaping @Sendable (_ isCritical: Bool) -> Void) {
    Self.lock.withLock { Self.observers[ObjectIdentifier(self)] = onChange }
  }

  deinit { _ = Self.lock.withLock { Self.observers.removeValue(forKey: ObjectIdentifier(self)) } }

  public static func report(isCritical: Bool) {
    for observer in lock.withLock({ Array(observers.values) }) { observer(isCritical) }
  }
}
