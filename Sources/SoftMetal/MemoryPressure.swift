import Foundation

/// What stands in for the system's word on memory: tests say it, for one device.
public final class SoftMemoryPressure: Sendable {
  private let device: SoftDevice?
  private let onChange: @Sendable (Bool) -> Void

  public init(device: MTLDevice, onChange: @escaping @Sendable (_ isCritical: Bool) -> Void) {
    self.device = device as? SoftDevice
    self.onChange = onChange
    self.device?.observe { [weak self] in self?.onChange($0) }
  }
}
