import Foundation

/// What the software device pretends to be. JSON in the environment variable `TILEWRIGHT_SOFT_METAL` changes it; fields
/// that are left out keep their values.
public struct SoftConfiguration: Codable, Sendable {
  public var name = "SoftMetal"
  /// Architecture as Metal names it, `applegpu_g14s`.
  public var architecture = "softmetal"
  /// 7 and later have `simdgroup_matrix`.
  public var appleFamily = 9
  /// With `appleFamily` 6 and later it has `bfloat`.
  public var metal3 = true
  /// Bytes.
  public var maxThreadgroupMemoryLength = 32768
  public var maxTotalThreadsPerThreadgroup = 1024
  /// Bytes.
  public var maxBufferLength = 1 << 31
  /// Bytes.
  public var recommendedMaxWorkingSetSize: UInt64 = 8 << 30
  /// Bytes of all buffers beyond which no more is given; nil: as the system allows.
  public var memoryLimit: Int? = nil
  /// No device at all.
  public var absent = false
  public var counterSampling = true
  /// Every command buffer from this one on (1 is the first) ends with `failure`.
  public var failFrom: Int? = nil
  public var failure = Failure.deviceRemoved
  /// Processor seconds after which a dispatch counts as hanging.
  public var timeout = 10.0
  /// Command and arguments of the test bed's compiler; it reads MSL and prints JSON.
  public var compiler: [String] = []

  public enum Failure: String, Codable, Sendable {
    case deviceRemoved, outOfMemory, timeout, pageFault, `internal`
    /// Never completes.
    case hang
  }

  public init() {}

  public init(from decoder: Decoder) throws {
    let c = try decoder.container(keyedBy: CodingKeys.self)
    func set<T: Decodable>(_ value: inout T, _ key: CodingKeys) throws {
      if let given = try c.decodeIfPresent(T.self, forKey: key) { value = given }
    }
    try set(&name, .name)
    try set(&architecture, .architecture)
    try set(&appleFamily, .appleFamily)
    try set(&metal3, .metal3)
    try set(&maxThreadgroupMemoryLength, .maxThreadgroupMemoryLength)
    try set(&maxTotalThreadsPerThreadgroup, .maxTotalThreadsPerThreadgroup)
    try set(&maxBufferLength, .maxBufferLength)
    try set(&recommendedMaxWorkingSetSize, .recommendedMaxWorkingSetSize)
    memoryLimit = try c.decodeIfPresent(Int.self, forKey: .memoryLimit)
    try set(&absent, .absent)
    try set(&counterSampling, .counterSampling)
    failFrom = try c.decodeIfPresent(Int.self, forKey: .failFrom)
    try set(&failure, .failure)
    try set(&timeout, .timeout)
    try set(&compiler, .compiler)
  }

  public static let variable = "TILEWRIGHT_SOFT_METAL"

  /// What the environment says now. A text that cannot be read means no device, with a word on stderr.
  static func current() -> SoftConfiguration {
    guard let text = ProcessInfo.processInfo.environment[variable], !text.isEmpty else { return SoftConfiguration() }
    do {
      return try JSONDecoder().decode(SoftConfiguration.self, from: Data(text.utf8))
    } catch {
      FileHandle.standardError.write(Data("\(variable) is not a configuration: \(error)\n".utf8))
      var none = SoftConfiguration()
      none.absent = true
      return none
    }
  }
}
