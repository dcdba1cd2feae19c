import Foundation

/// Captures of a device's work, which Xcode opens. The system has one at a time, for all devices of a process.
extension GPUDevice {
  /// Records what is submitted from now on, until ``stopCapture()``, into a document.
  /// - Parameter path: ends with `.gputrace`; nothing may be there yet.
  public func startCapture(_ path: String) throws {
    try checkOpen()
    let details: [String: MetalError.Detail] = ["path": .text(path)]
    guard path.hasSuffix(".gputrace") else {
      throw MetalError(.invalidArgument, "A capture's path ends with .gputrace, not as \(path) does.", details)
    }
    let manager = MTLCaptureManager.shared()
    guard manager.supportsDestination(.gpuTraceDocument) else {
      throw MetalError(
        .unavailable,
        "Metal lets nobody capture this process: start it with METAL_CAPTURE_ENABLED=1 in its environment.", details)
    }
    guard !manager.isCapturing else {
      throw MetalError(.invalidArgument, "A capture is under way already: end it first.", details)
    }
    let descriptor = MTLCaptureDescriptor()
    descriptor.captureObject = device
    descriptor.destination = .gpuTraceDocument
    descriptor.outputURL = URL(fileURLWithPath: path)
    do {
      try manager.startCapture(with: descriptor)
    } catch {
      let said = Platform.error(error).localizedDescription
      throw MetalError(.file, "Metal cannot write a capture to \(path): \(said).", details)
    }
  }

  /// Writes the document. What is under way is in it as far as it got: wait for it first.
  public func stopCapture() throws {
    let manager = MTLCaptureManager.shared()
    guard manager.isCapturing else { throw MetalError(.invalidArgument, "No capture is under way.") }
    manager.stopCapture()
  }
}
