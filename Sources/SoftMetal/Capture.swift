import Foundation

// Captures: Metal writes a document that Xcode opens; here it is a folder that lists the launches.

public enum MTLCaptureDestination: Int, Sendable {
  case developerTools = 1
  case gpuTraceDocument = 2
}

public final class MTLCaptureDescriptor {
  /// A device, or what is made of one.
  public var captureObject: Any?
  public var destination = MTLCaptureDestination.developerTools
  public var outputURL: URL?
  public init() {}
}

public let MTLCaptureErrorDomain = "MTLCaptureErrorDomain"

public final class MTLCaptureManager: @unchecked Sendable {
  private static let manager = MTLCaptureManager()
  private let lock = NSLock()
  private var current: (device: SoftDevice, folder: URL, kernels: [String])?

  public static func shared() -> MTLCaptureManager { manager }

  public var isCapturing: Bool { lock.withLock { current != nil } }

  public func supportsDestination(_ destination: MTLCaptureDestination) -> Bool {
    destination == .gpuTraceDocument && ProcessInfo.processInfo.environment["METAL_CAPTURE_ENABLED"] == "1"
  }

  public func startCapture(with descriptor: MTLCaptureDescriptor) throws {
    guard supportsDestination(descriptor.destination) else {
      throw failure(MTLCaptureErrorDomain, 1, "Capturing is not supported")
    }
    guard let device = descriptor.captureObject as? SoftDevice, let folder = descriptor.outputURL else {
      throw failure(MTLCaptureErrorDomain, 3, "The capture descriptor is invalid")
    }
    guard !FileManager.default.fileExists(atPath: folder.path) else {
      throw failure(MTLCaptureErrorDomain, 3, "Output URL already exists")
    }
    try lock.withLock {
      guard current == nil else { throw failure(MTLCaptureErrorDomain, 2, "A capture is under way") }
      try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: false)
      current = (device, folder, [])
    }
  }

  public func stopCapture() {
    guard let (_, folder, kernels) = take() else { return }
    let text = kernels.map { "\($0)\n" }.joined()
    try? Data(text.utf8).write(to: folder.appendingPathComponent("launches.txt"))
  }

  private func take() -> (device: SoftDevice, folder: URL, kernels: [String])? {
    lock.withLock {
      defer { current = nil }
      return current
    }
  }

  func note(_ kernel: String, on device: SoftDevice) {
    lock.withLock { if current?.device === device { current?.kernels.append(kernel) } }
  }
}
