import Foundation

/// How a kernel uses one of its buffer arguments.
struct Argument {
  let index: Int
  let name: String
  let isWritten: Bool
}

/// A kernel that is ready to run: compiled, with its function constants.
final class Pipeline: @unchecked Sendable {
  let name: String
  let state: MTLComputePipelineState
  let arguments: [Argument]
  /// Bit `i`: the kernel writes `[[buffer(i)]]`.
  let written: UInt32

  init(name: String, state: MTLComputePipelineState, reflection: MTLComputePipelineReflection?) {
    self.name = name
    self.state = state
    let bindings = reflection?.bindings ?? []
    arguments = bindings.filter { $0.type == .buffer && $0.isUsed }.map {
      Argument(index: $0.index, name: $0.name, isWritten: $0.access != .readOnly)
    }
    written = arguments.reduce(0) { $1.isWritten ? $0 | 1 << UInt32($1.index) : $0 }
  }
}

public struct PipelineInfo: Encodable, Sendable {
  public let maxTotalThreadsPerThreadgroup: Int
  public let threadExecutionWidth: Int
  /// Bytes.
  public let staticThreadgroupMemoryLength: Int
}

/// How a library is compiled; JSON from TypeScript, all of it optional.
public struct LibraryOptions: Decodable, Sendable {
  /// What people call the source, in labels.
  public var label: String?

  public init() {}

  public init(json: String) throws {
    do {
      self = try JSONDecoder().decode(LibraryOptions.self, from: Data((json.isEmpty ? "{}" : json).utf8))
    } catch {
      throw MetalError(.invalidArgument, "The options of the library are not as expected: \(error)")
    }
  }
}

/// Values that are made once, off the caller's thread, and shared by everyone who asks for the same key.
private final class OnceTable<Key: Hashable & Sendable, Value: Sendable>: @unchecked Sendable {
  typealias Completion = @Sendable (Result<Int, MetalError>) -> Void
  private enum Entry {
    case pending([Completion])
    case ready(Int)
  }

  private let lock = NSLock()
  private var entries: [Key: Entry] = [:]
  private var values: [Value] = []

  subscript(id: Int) -> Value? {
    lock.withLock { values.indices.contains(id) ? values[id] : nil }
  }

  /// A failure is not kept: the next one to ask tries again.
  func get(
    _ key: Key, on queue: DispatchQueue, completion: @escaping Completion, make: @escaping @Sendable () throws -> Value
  ) {
    let known: Int? = lock.withLock {
      switch entries[key] {
      case .ready(let id)?: return id
      case .pending(let others)?: entries[key] = .pending(others + [completion])
      case nil:
        entries[key] = .pending([completion])
        queue.async { self.settle(key, Result { try Platform.releasing(make) }) }
      }
      return nil
    }
    if let known { completion(.success(known)) }
  }

  private func settle(_ key: Key, _ result: Result<Value, Error>) {
    let (waiting, outcome): ([Completion], Result<Int, MetalError>) = lock.withLock {
      guard case .pending(let waiting)? = entries[key] else { return ([], .success(0)) }
      switch result {
      case .success(let value):
        values.append(value)
        entries[key] = .ready(values.count - 1)
        return (waiting, .success(values.count - 1))
      case .failure(let error):
        entries[key] = nil
        return (waiting, .failure(error as? MetalError ?? MetalError(.failure, "\(error)")))
      }
    }
    for completion in waiting { completion(outcome) }
  }
}

/// Libraries and pipelines of a device, compiled at run time, each once.
final class PipelineCache: @unchecked Sendable {
  private struct Library: @unchecked Sendable {
    let library: MTLLibrary
    let label: String
    let archive: PipelineArchive?
  }
  private struct LibraryKey: Hashable {
    let source: String
    let label: String?
  }
  private struct PipelineKey: Hashable {
    let library: Int
    let name: String
    let constants: [UInt8]
  }

  private let device: MTLDevice
  private let archives: URL?
  private let identity: String
  private let queue = DispatchQueue(label: "tilewright.metal.compile", qos: .userInitiated, attributes: .concurrent)
  private let libraries = OnceTable<LibraryKey, Library>()
  private let pipelines = OnceTable<PipelineKey, Pipeline>()
  private let lock = NSLock()
  private var opened: [PipelineArchive] = []

  init(device: MTLDevice, info: DeviceInfo, cacheFolder: String?) {
    self.device = device
    archives = cacheFolder.map { URL(fileURLWithPath: $0, isDirectory: true) }
    identity = "\(info.architecture)-\(info.name)-\(info.os)"
  }

  func pipeline(_ id: Int) -> Pipeline? { pipelines[id] }

  func library(
    source: String, options: LibraryOptions, completion: @escaping @Sendable (Result<Int, MetalError>) -> Void
  ) {
    libraries.get(LibraryKey(source: source, label: options.label), on: queue, completion: completion) {
      [device] in
      let compile = MTLCompileOptions()
      // Fast math would fold comparisons with NaN away and flush what the shaders count on.
      compile.fastMathEnabled = false
      compile.languageVersion = Platform.newestLanguage
      do {
        let library = try device.makeLibrary(source: source, options: compile)
        library.label = options.label
        return Library(library: library, label: options.label ?? "library", archive: self.archive(source))
      } catch {
        throw Self.compileError(error, options.label ?? "library")
      }
    }
  }

  /// - Parameter constants: 12 bytes per function constant: index, type (0 bool, 1 uint, 2 int, 3 float), value.
  func pipeline(
    library id: Int, name: String, constants: [UInt8],
    completion: @escaping @Sendable (Result<Int, MetalError>) -> Void
  ) throws {
    guard let library = libraries[id] else {
      throw MetalError(.invalidArgument, "There is no library \(id).")
    }
    let values = try Self.constantValues(constants)
    let key = PipelineKey(library: id, name: name, constants: constants)
    pipelines.get(key, on: queue, completion: completion) { [device] in
      guard library.library.functionNames.contains(name) else {
        throw MetalError(
          .kernelUnknown, "There is no kernel \(name) in \(library.label).",
          ["kernel": .text(name), "kernels": .text(library.library.functionNames.joined(separator: " "))])
      }
      do {
        let descriptor = MTLComputePipelineDescriptor()
        descriptor.label = name
        descriptor.computeFunction = try library.library.makeFunction(name: name, constantValues: values.value)
        let pipeline = try Self.make(descriptor, device, library.archive, name)
        if library.archive != nil { self.saveSoon() }
        return pipeline
      } catch {
        throw Self.compileError(error, "\(name) of \(library.label)")
      }
    }
  }

  private static func make(
    _ descriptor: MTLComputePipelineDescriptor, _ device: MTLDevice, _ archive: PipelineArchive?, _ name: String
  ) throws -> Pipeline {
    if let archive {
      descriptor.binaryArchives = [archive.archive]
      if let pipeline = try? make(descriptor, device, [.argumentInfo, .failOnBinaryArchiveMiss], name) {
        return pipeline
      }
      // Compiled into the archive, and the pipeline is made from it.
      archive.add(descriptor)
    }
    return try make(descriptor, device, .argumentInfo, name)
  }

  private static func make(
    _ descriptor: MTLComputePipelineDescriptor, _ device: MTLDevice, _ options: MTLPipelineOption, _ name: String
  ) throws -> Pipeline {
    // The form that gives the reflection without an autoreleasing pointer; it calls back on another thread.
    let done = DispatchSemaphore(value: 0)
    let box = Locked<Result<Pipeline, Error>>(.failure(MetalError(.failure, "Metal did not answer.")))
    device.makeComputePipelineState(descriptor: descriptor, options: options) { state, reflection, error in
      if let state {
        box.set(.success(Pipeline(name: name, state: state, reflection: reflection)))
      } else if let error {
        box.set(.failure(error))
      }
      done.signal()
    }
    done.wait()
    return try box.get().get()
  }

  func info(_ id: Int) throws -> PipelineInfo {
    guard let state = pipelines[id]?.state else { throw MetalError(.invalidArgument, "There is no pipeline \(id).") }
    return PipelineInfo(
      maxTotalThreadsPerThreadgroup: state.maxTotalThreadsPerThreadgroup,
      threadExecutionWidth: state.threadExecutionWidth,
      staticThreadgroupMemoryLength: state.staticThreadgroupMemoryLength)
  }

  /// Writes what was compiled since the last time.
  func save() {
    for archive in lock.withLock({ opened }) { archive.save() }
  }

  /// Once for the pipelines of a program's start.
  private func saveSoon() {
    DispatchQueue.global(qos: .utility).asyncAfter(deadline: .now() + 2) { [weak self] in self?.save() }
  }

  /// Named after the source, the device and the system. Two sources of one hash would share a file, and nothing else:
  /// Metal finds pipelines in it by their code.
  private func archive(_ source: String) -> PipelineArchive? {
    guard let archives else { return nil }
    // FNV-1a: the same in every process, unlike Swift's own hashes.
    let hash = source.utf8.reduce(0xcbf2_9ce4_8422_2325 as UInt64) { ($0 ^ UInt64($1)) &* 0x100_0000_01b3 }
    let name = "\(String(hash, radix: 16))-\(identity)".map { $0.isASCII && ($0.isLetter || $0.isNumber) ? $0 : "-" }
    let archive = PipelineArchive(
      url: archives.appendingPathComponent(String(name) + ".metalarchive"), device: device)
    if let archive { lock.withLock { opened.append(archive) } }
    return archive
  }

  private static func constantValues(_ bytes: [UInt8]) throws -> Unchecked<MTLFunctionConstantValues> {
    guard bytes.count % 12 == 0 else {
      throw MetalError(.invalidArgument, "Function constants come in 12 bytes each, not \(bytes.count) together.")
    }
    let values = MTLFunctionConstantValues()
    try bytes.withUnsafeBytes { raw in
      for at in stride(from: 0, to: raw.count, by: 12) {
        func word(_ i: Int) -> UInt32 { raw.loadUnaligned(fromByteOffset: at + 4 * i, as: UInt32.self).littleEndian }
        let index = Int(word(0))
        var value = word(2)
        switch word(1) {
        case 0:
          var flag = value != 0
          values.setConstantValue(&flag, type: .bool, index: index)
        case 1: values.setConstantValue(&value, type: .uint, index: index)
        case 2: values.setConstantValue(&value, type: .int, index: index)
        case 3: values.setConstantValue(&value, type: .float, index: index)
        default: throw MetalError(.invalidArgument, "There is no type \(word(1)) of function constants.")
        }
      }
    }
    return Unchecked(values)
  }

  private static func compileError(_ error: Error, _ what: String) -> MetalError {
    if let error = error as? MetalError { return error }
    let native = Platform.error(error)
    // MTLLibraryErrorInternal: the compiler itself failed, not the source.
    let isInternal = native.domain == "MTLLibraryErrorDomain" && native.code == 2
    return MetalError(
      isInternal ? .failure : .kernelCompile, "\(what) does not compile: \(native.localizedDescription)",
      ["log": .text(native.localizedDescription), "domain": .text(native.domain), "status": .number(native.code)])
  }
}

/// Pipelines of one source on disk, for one device and one version of the system.
final class PipelineArchive: @unchecked Sendable {
  let archive: MTLBinaryArchive
  private let url: URL
  private let lock = NSLock()
  private var isDirty = false

  /// A file that Metal does not take (of another driver, or damaged) is begun anew. Nil: no archive is to be had.
  init?(url: URL, device: MTLDevice) {
    self.url = url
    let descriptor = MTLBinaryArchiveDescriptor()
    if FileManager.default.fileExists(atPath: url.path) {
      descriptor.url = url
      if let archive = try? device.makeBinaryArchive(descriptor: descriptor) {
        self.archive = archive
        return
      }
      descriptor.url = nil
    }
    guard let archive = try? device.makeBinaryArchive(descriptor: descriptor) else { return nil }
    self.archive = archive
  }

  func add(_ descriptor: MTLComputePipelineDescriptor) {
    lock.withLock {
      // A pipeline that cannot be archived is compiled again in the next process.
      guard (try? archive.addComputePipelineFunctions(descriptor: descriptor)) != nil else { return }
      isDirty = true
    }
  }

  /// A cache that cannot be written is no failure. Other processes see the whole file or the one before.
  func save() {
    lock.withLock {
      guard isDirty else { return }
      isDirty = false
      let temporary = url.appendingPathExtension("\(ProcessInfo.processInfo.processIdentifier)")
      try? FileManager.default.createDirectory(at: url.deletingLastPathComponent(), withIntermediateDirectories: true)
      guard (try? archive.serialize(to: temporary)) != nil else { return }
      if rename(temporary.path, url.path) != 0 { unlink(temporary.path) }
    }
  }
}

/// A value of Metal's that is not marked as sendable, and is.
struct Unchecked<Value>: @unchecked Sendable {
  let value: Value
  init(_ value: Value) { self.value = value }
}

final class Locked<Value>: @unchecked Sendable {
  private let lock = NSLock()
  private var value: Value
  init(_ value: Value) { self.value = value }
  func get() -> Value { lock.withLock { value } }
  func set(_ value: Value) { lock.withLock { self.value = value } }
}
