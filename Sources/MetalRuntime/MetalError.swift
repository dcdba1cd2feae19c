import Foundation

/// What went wrong, in the terms of the package: TypeScript makes its own error of it. Its description is JSON.
public struct MetalError: Error, CustomStringConvertible, Equatable {
  public enum Code: String, Sendable {
    case invalidArgument = "ERR_INVALID_ARGUMENT"
    case outOfBounds = "ERR_OUT_OF_BOUNDS"
    case disposed = "ERR_DISPOSED"
    case outOfMemory = "ERR_OUT_OF_MEMORY"
    case queueFull = "ERR_QUEUE_FULL"
    case unavailable = "ERR_BACKEND_UNAVAILABLE"
    case failure = "ERR_NATIVE_FAILURE"
    case kernelUnknown = "ERR_KERNEL_UNKNOWN"
    case kernelLaunch = "ERR_KERNEL_LAUNCH"
    case kernelCompile = "ERR_KERNEL_COMPILE"
    case file = "ERR_FILE"
  }

  public enum Detail: Encodable, Equatable, Sendable, ExpressibleByStringLiteral, ExpressibleByIntegerLiteral {
    case text(String)
    case number(Int)

    public init(stringLiteral value: String) { self = .text(value) }
    public init(integerLiteral value: Int) { self = .number(value) }

    public func encode(to encoder: Encoder) throws {
      var container = encoder.singleValueContainer()
      switch self {
      case .text(let text): try container.encode(text)
      case .number(let number): try container.encode(number)
      }
    }
  }

  public let code: Code
  public let message: String
  public let details: [String: Detail]

  public init(_ code: Code, _ message: String, _ details: [String: Detail] = [:]) {
    self.code = code
    self.message = message
    self.details = details
  }

  private struct Encoded: Encodable {
    let code: String
    let message: String
    let details: [String: Detail]
  }

  public var description: String {
    json(Encoded(code: code.rawValue, message: message, details: details))
  }
}

/// JSON with its keys in order.
public func json(_ value: some Encodable) -> String {
  let encoder = JSONEncoder()
  encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
  // Only numbers that are no numbers cannot be encoded, and no report has any.
  guard let data = try? encoder.encode(value) else { return "{}" }
  return String(decoding: data, as: UTF8.self)
}

extension MetalError {
  /// Codes of `MTLCommandBufferError`, which are part of Metal's binary interface.
  private enum CommandBuffer: Int {
    case timeout = 2
    case pageFault = 3
    case accessRevoked = 4
    case notPermitted = 7
    case outOfMemory = 8
    case invalidResource = 9
    case deviceRemoved = 11
    case stackOverflow = 12
  }

  /// Why a command buffer failed, and whether the device is gone with it.
  static func commandBuffer(_ error: Error?) -> (error: MetalError, isDeviceLost: Bool) {
    guard let error else { return (MetalError(.failure, "The GPU failed and did not say why."), false) }
    let native = Platform.error(error)
    let details: [String: Detail] = ["domain": .text(native.domain), "status": .number(native.code)]
    let said = native.localizedDescription
    guard native.domain == "MTLCommandBufferErrorDomain", let code = CommandBuffer(rawValue: native.code) else {
      return (MetalError(.failure, "The GPU failed: \(said)", details), false)
    }
    switch code {
    case .timeout:
      return (
        MetalError(
          .failure, "The GPU gave up on a kernel that ran for too long: \(said). Split the work into smaller lists.",
          details), false
      )
    case .outOfMemory:
      return (
        MetalError(.outOfMemory, "The GPU ran out of memory: \(said). Free buffers or use smaller ones.", details),
        false
      )
    case .deviceRemoved, .accessRevoked, .notPermitted:
      return (MetalError(.unavailable, "The GPU is gone: \(said). Open a device again.", details), true)
    case .pageFault, .invalidResource, .stackOverflow:
      return (MetalError(.failure, "A kernel touched memory that is not its own: \(said)", details), false)
    }
  }
}
