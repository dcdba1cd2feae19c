import Foundation

// The plain types of Metal that the bridge uses, with Metal's raw values.

public struct MTLSize: Equatable, Sendable {
  public var width: Int
  public var height: Int
  public var depth: Int

  public init(width: Int, height: Int, depth: Int) {
    self.width = width
    self.height = height
    self.depth = depth
  }

  /// Product of the three; nil when it does not fit an `Int`.
  var count: Int? {
    let (plane, first) = width.multipliedReportingOverflow(by: height)
    let (all, second) = plane.multipliedReportingOverflow(by: depth)
    return first || second ? nil : all
  }
}

public struct MTLResourceOptions: OptionSet, Sendable {
  public let rawValue: UInt
  public init(rawValue: UInt) { self.rawValue = rawValue }
  public static let storageModeShared = MTLResourceOptions([])
  public static let hazardTrackingModeTracked = MTLResourceOptions(rawValue: 2 << 8)
}

public enum MTLStorageMode: UInt, Sendable {
  case shared = 0
  case managed = 1
  case `private` = 2
  case memoryless = 3
}

public enum MTLGPUFamily: Int, Sendable {
  case apple1 = 1001
  case apple2 = 1002
  case apple3 = 1003
  case apple4 = 1004
  case apple5 = 1005
  case apple6 = 1006
  case apple7 = 1007
  case apple8 = 1008
  case apple9 = 1009
  case mac2 = 2002
  case metal3 = 5001
}

public enum MTLLanguageVersion: UInt, Sendable {
  case version3_0 = 0x30000
  case version3_1 = 0x30001
}

public enum MTLDataType: UInt, Sendable {
  case none = 0
  case float = 3
  case int = 29
  case uint = 33
  case bool = 53
}

public struct MTLPipelineOption: OptionSet, Sendable {
  public let rawValue: UInt
  public init(rawValue: UInt) { self.rawValue = rawValue }
  public static let argumentInfo = MTLPipelineOption(rawValue: 1)
  public static let failOnBinaryArchiveMiss = MTLPipelineOption(rawValue: 4)
}

public enum MTLDispatchType: UInt, Sendable {
  case serial = 0
  case concurrent = 1
}

public struct MTLBarrierScope: OptionSet, Sendable {
  public let rawValue: UInt
  public init(rawValue: UInt) { self.rawValue = rawValue }
  public static let buffers = MTLBarrierScope(rawValue: 1)
}

public enum MTLCommandBufferStatus: UInt, Sendable {
  case notEnqueued = 0
  case enqueued = 1
  case committed = 2
  case scheduled = 3
  case completed = 4
  case error = 5
}

public struct MTLCommandBufferErrorOption: OptionSet, Sendable {
  public let rawValue: UInt
  public init(rawValue: UInt) { self.rawValue = rawValue }
  public static let encoderExecutionStatus = MTLCommandBufferErrorOption(rawValue: 1)
}

public enum MTLCounterSamplingPoint: UInt, Sendable {
  case atStageBoundary = 0
  case atDispatchBoundary = 2
}

public struct MTLCommonCounterSet: RawRepresentable, Sendable {
  public let rawValue: String
  public init(rawValue: String) { self.rawValue = rawValue }
  public static let timestamp = MTLCommonCounterSet(rawValue: "timestamp")
}

public struct MTLCounterResultTimestamp: Sendable {
  public var timestamp: UInt64
}

public enum MTLBindingType: Int, Sendable {
  case buffer = 0
  case threadgroupMemory = 1
}

public enum MTLBindingAccess: UInt, Sendable {
  case readOnly = 0
  case readWrite = 1
  case writeOnly = 2
}

public final class MTLArchitecture: Sendable {
  public let name: String
  init(name: String) { self.name = name }
}

// Errors are NSErrors with Metal's domains and codes, as on Apple's systems.

public let MTLLibraryErrorDomain = "MTLLibraryErrorDomain"
public let MTLCommandBufferErrorDomain = "MTLCommandBufferErrorDomain"
public let MTLBinaryArchiveDomain = "MTLBinaryArchiveDomain"

enum LibraryCode: Int {
  case unsupported = 1
  case `internal` = 2
  case compileFailure = 3
  case functionNotFound = 5
}

enum CommandBufferCode: Int {
  case `internal` = 1
  case timeout = 2
  case pageFault = 3
  case outOfMemory = 8
  case invalidResource = 9
  case deviceRemoved = 11
}

func failure(_ domain: String, _ code: Int, _ text: String) -> NSError {
  NSError(domain: domain, code: code, userInfo: [NSLocalizedDescriptionKey: text])
}
