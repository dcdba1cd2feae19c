// The one file that knows which Metal this is: Apple's framework, or SoftMetal with the same API on Linux.
import Foundation

#if canImport(Metal)
  import IOKit
  import os
  @_exported import Metal

  enum Platform {
    static let isSoftware = false

    /// Metal's objects are autoreleased, and Node's threads never drain a pool of their own.
    static func releasing<T>(_ body: () throws -> T) rethrows -> T { try autoreleasepool(invoking: body) }

    /// Options of the software device, which is not here.
    struct SoftwareOptions: Decodable, Sendable {}

    static func devices(_ options: SoftwareOptions?) -> [MTLDevice] {
      let all = MTLCopyAllDevices()
      guard all.count > 1, let preferred = MTLCreateSystemDefaultDevice()?.registryID else { return all }
      return all.filter { $0.registryID == preferred } + all.filter { $0.registryID != preferred }
    }

    static func error(_ error: Error) -> NSError { error as NSError }

    private static let signposter = OSSignposter(subsystem: "tilewright", category: "launches")

    /// An interval in Instruments, from now until what is returned is called; nil where nobody records.
    static func interval(_ text: () -> String) -> (@Sendable () -> Void)? {
      guard signposter.isEnabled else { return nil }
      let told = text()
      let state = signposter.beginInterval("launches", id: signposter.makeSignpostID(), "\(told, privacy: .public)")
      return { signposter.endInterval("launches", state) }
    }

    /// As the accelerator's driver tells; nil where it does not.
    static func gpuCoreCount(_ device: MTLDevice) -> Int? {
      let service = IOServiceGetMatchingService(kIOMainPortDefault, IORegistryEntryIDMatching(device.registryID))
      guard service != 0 else { return nil }
      defer { IOObjectRelease(service) }
      let options = IOOptionBits(kIORegistryIterateRecursively | kIORegistryIterateParents)
      return IORegistryEntrySearchCFProperty(
        service, kIOServicePlane, "gpu-core-count" as CFString, kCFAllocatorDefault, options) as? Int
    }

    static func architecture(_ device: MTLDevice) -> String {
      if #available(macOS 14.0, *) { return device.architecture.name }
      return device.name
    }

    static var newestLanguage: MTLLanguageVersion {
      if #available(macOS 14.0, *) { return .version3_1 }
      return .version3_0
    }
  }

  /// Calls back when the system runs short of memory, until it is released.
  final class MemoryPressure {
    private let source: DispatchSourceMemoryPressure

    init(device: MTLDevice, onChange: @escaping @Sendable (_ isCritical: Bool) -> Void) {
      let source = DispatchSource.makeMemoryPressureSource(
        eventMask: [.normal, .warning, .critical], queue: .global(qos: .utility))
      self.source = source
      source.setEventHandler { [weak source] in onChange(source?.data.contains(.critical) ?? false) }
      source.resume()
    }

    deinit { source.cancel() }
  }
#else
  @_exported import SoftMetal

  enum Platform {
    static let isSoftware = true

    static func releasing<T>(_ body: () throws -> T) rethrows -> T { try body() }

    typealias SoftwareOptions = SoftConfiguration.Overrides

    static func devices(_ options: SoftwareOptions?) -> [MTLDevice] {
      softDevices(SoftConfiguration([.fromEnvironment()] + (options.map { [$0] } ?? [])))
    }

    static func error(_ error: Error) -> NSError {
      error as? NSError ?? NSError(domain: "SoftMetal", code: 0, userInfo: [NSLocalizedDescriptionKey: "\(error)"])
    }

    static func interval(_ text: () -> String) -> (@Sendable () -> Void)? { SoftSignposts.interval(text) }

    static func gpuCoreCount(_ device: MTLDevice) -> Int? { (device as? SoftDevice)?.configuration.coreCount }

    static func architecture(_ device: MTLDevice) -> String { device.architecture.name }

    static let newestLanguage = MTLLanguageVersion.version3_1
  }

  typealias MemoryPressure = SoftMemoryPressure
#endif
