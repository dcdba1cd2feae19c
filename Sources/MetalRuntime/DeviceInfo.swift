import Foundation

/// What a device can do; the JSON that TypeScript's `Capabilities` are made of. Sizes are in bytes.
public struct DeviceInfo: Encodable, Sendable {
  public let name: String
  public let architecture: String
  public let families: [String]
  public let simdgroupMatrix: Bool
  public let bfloat: Bool
  /// GPU cores; 0 where the driver does not tell.
  public let coreCount: Int
  public let workingSetBytes: Int
  public let maxThreadgroupBytes: Int
  public let maxThreadgroupThreads: Int
  public let maxBufferBytes: Int
  public let unifiedMemory: Bool
  /// Decimal: JavaScript's numbers cannot hold all of it.
  public let registryId: String
  public let os: String
  /// Runs on the CPU, for tests.
  public let software: Bool

  init(_ device: MTLDevice) {
    // By value: the names of the newer ones are not in every SDK.
    let known = [
      ("apple5", 1005), ("apple6", 1006), ("apple7", 1007), ("apple8", 1008), ("apple9", 1009), ("apple10", 1010),
      ("mac2", 2002), ("metal3", 5001),
    ]
    name = device.name
    architecture = Platform.architecture(device)
    families = known.filter { MTLGPUFamily(rawValue: $0.1).map(device.supportsFamily) ?? false }.map(\.0)
    simdgroupMatrix = families.contains("apple7")
    // The type came with Metal 3.1.
    bfloat =
      families.contains("metal3") && families.contains("apple6") && Platform.newestLanguage != .version3_0
    coreCount = Platform.gpuCoreCount(device) ?? 0
    workingSetBytes = Int(clamping: device.recommendedMaxWorkingSetSize)
    maxThreadgroupBytes = device.maxThreadgroupMemoryLength
    maxThreadgroupThreads = device.maxThreadsPerThreadgroup.width
    maxBufferBytes = device.maxBufferLength
    unifiedMemory = device.hasUnifiedMemory
    registryId = String(device.registryID)
    os = ProcessInfo.processInfo.operatingSystemVersionString
    software = Platform.isSoftware
  }
}

/// How a device is opened; JSON from TypeScript, all of it optional.
public struct DeviceOptions: Decodable, Sendable {
  /// Name or registry id of the device; nil: the system's default.
  public var device: String?
  /// Where compiled pipelines are kept between processes; nil: nowhere.
  public var cacheFolder: String?
  /// Milliseconds that a command buffer may take before the device counts as hung.
  public var timeoutMs: Double?
  /// Milliseconds that `close` waits for work in flight.
  public var closeTimeoutMs: Double?
  /// Lists in flight before `submit` refuses.
  public var maxInFlight: Int?
  /// Of the software device.
  var software: Platform.SoftwareOptions?

  public init() {}

  public init(json: String) throws {
    do {
      self = try JSONDecoder().decode(DeviceOptions.self, from: Data((json.isEmpty ? "{}" : json).utf8))
    } catch {
      throw MetalError(.invalidArgument, "The options of the device are not as expected: \(error)")
    }
  }
}
