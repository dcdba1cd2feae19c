import Foundation

/// What the software device pretends to be, and how it fails.
public struct SoftConfiguration: Sendable {
  public enum Failure: String, Codable, Sendable {
    case deviceRemoved, outOfMemory, timeout, pageFault, `internal`
    /// Never completes.
    case hang
  }

  /// Changes to the defaults, as JSON has them: from a program, and from the environment variable
  /// `TILEWRIGHT_SOFT_METAL`. Names of capabilities are those of the bridge's `info`; sizes are in bytes.
  public struct Overrides: Decodable, Sendable {
    public struct Capabilities: Decodable, Sendable {
      var name: String?
      /// As Metal names it, `applegpu_g14s`.
      var architecture: String?
      var families: [String]?
      var simdgroupMatrix: Bool?
      var bfloat: Bool?
      var coreCount: Int?
      var workingSetBytes: UInt64?
      var maxThreadgroupBytes: Int?
      var maxThreadgroupThreads: Int?
      var maxBufferBytes: Int?
    }

    var compiler: [String]?
    var capabilities: Capabilities?
    var absent: Bool?
    var counterSampling: Bool?
    var memoryLimitBytes: Int?
    var failFrom: Int?
    var failure: Failure?
    var timeoutMs: Double?

    /// What the environment says now. A text that cannot be read means no device, with a word on stderr.
    public static func fromEnvironment() -> Overrides {
      guard let text = ProcessInfo.processInfo.environment[variable], !text.isEmpty else { return Overrides() }
      do {
        return try JSONDecoder().decode(Overrides.self, from: Data(text.utf8))
      } catch {
        FileHandle.standardError.write(Data("\(variable) is not a configuration: \(error)\n".utf8))
        return Overrides(absent: true)
      }
    }

    init(absent: Bool? = nil) { self.absent = absent }
  }

  public static let variable = "TILEWRIGHT_SOFT_METAL"

  public var name = "SoftMetal"
  public var architecture = "softmetal"
  public var families: Set<String> = ["apple5", "apple6", "apple7", "apple8", "apple9", "mac2", "metal3"]
  public var coreCount = 1
  public var workingSetBytes: UInt64 = 8 << 30
  public var maxThreadgroupBytes = 32768
  public var maxThreadgroupThreads = 1024
  public var maxBufferBytes = 1 << 31
  /// Bytes of all buffers beyond which no more is given; nil: as the system allows.
  public var memoryLimitBytes: Int?
  /// No device at all.
  public var absent = false
  public var counterSampling = true
  /// Every command buffer from this one on (1 is the first) ends with `failure`.
  public var failFrom: Int?
  public var failure = Failure.deviceRemoved
  /// Milliseconds of processor time after which a dispatch counts as hanging.
  public var timeoutMs = 60_000.0
  /// Command and arguments of the test bed's compiler; it reads MSL and prints JSON.
  public var compiler: [String] = []

  public init() {}

  /// Later changes go over earlier ones.
  public init(_ overrides: [Overrides]) {
    for each in overrides { apply(each) }
  }

  private mutating func apply(_ overrides: Overrides) {
    func set<T>(_ field: inout T, _ value: T?) { if let value { field = value } }
    set(&compiler, overrides.compiler)
    set(&absent, overrides.absent)
    set(&counterSampling, overrides.counterSampling)
    if let limit = overrides.memoryLimitBytes { memoryLimitBytes = limit }
    if let first = overrides.failFrom { failFrom = first }
    set(&failure, overrides.failure)
    set(&timeoutMs, overrides.timeoutMs)
    guard let capabilities = overrides.capabilities else { return }
    set(&name, capabilities.name)
    set(&architecture, capabilities.architecture)
    set(&families, capabilities.families.map(Set.init))
    // The families that have them: Apple7 simdgroup_matrix, Metal 3 bfloat.
    if capabilities.simdgroupMatrix == false { families.subtract(["apple7", "apple8", "apple9"]) }
    if capabilities.bfloat == false { families.remove("metal3") }
    set(&coreCount, capabilities.coreCount)
    set(&workingSetBytes, capabilities.workingSetBytes)
    set(&maxThreadgroupBytes, capabilities.maxThreadgroupBytes)
    set(&maxThreadgroupThreads, capabilities.maxThreadgroupThreads)
    set(&maxBufferBytes, capabilities.maxBufferBytes)
  }
}
