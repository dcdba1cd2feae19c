import Foundation

/// Memory that the GPU and the CPU share. A part of a mapped file is one too, and cannot be written.
public final class GPUBuffer: @unchecked Sendable {
  /// Metal's buffer, and where in it this one begins. Work in flight holds it, so that `release` never disturbs any.
  struct Storage {
    let buffer: MTLBuffer
    let offset: Int
    /// The file that the memory is of, or what counts it.
    let owner: AnyObject
    var file: MappedFile? { owner as? MappedFile }
  }

  /// Bytes.
  public let length: Int
  public var isReadOnly: Bool { file != nil }
  private let file: MappedFile?
  private let lock = NSLock()
  private var held: Storage?

  init(storage: Storage, length: Int) {
    self.length = length
    file = storage.file
    held = storage
  }

  /// Throws `disposed` after `release`, and `file` if the mapped file is shorter than it was.
  func storage() throws -> Storage {
    guard let storage = lock.withLock({ held }) else {
      throw MetalError(.disposed, "This buffer was released.")
    }
    try storage.file?.checkUnchanged()
    return storage
  }

  public func release() { lock.withLock { held = nil } }

  /// Copies all of `bytes` to `offset` (in bytes).
  public func write(_ bytes: UnsafeRawBufferPointer, offset: Int) throws {
    let storage = try storage()
    guard !isReadOnly else { throw MetalError(.invalidArgument, "A mapped file cannot be written.") }
    try checkRange(offset, bytes.count)
    guard let source = bytes.baseAddress else { return }
    storage.buffer.contents().advanced(by: storage.offset + offset).copyMemory(from: source, byteCount: bytes.count)
  }

  /// Fills all of `target` from `offset` (in bytes).
  public func read(into target: UnsafeMutableRawBufferPointer, offset: Int) throws {
    let storage = try storage()
    try checkRange(offset, target.count)
    guard let to = target.baseAddress else { return }
    to.copyMemory(from: storage.buffer.contents().advanced(by: storage.offset + offset), byteCount: target.count)
  }

  private func checkRange(_ offset: Int, _ count: Int) throws {
    guard offset >= 0, count <= length, offset <= length - count else {
      throw MetalError(
        .outOfBounds, "\(count) bytes from \(offset) on are not within the buffer's \(length).",
        ["offset": .number(offset), "byteLength": .number(count), "bufferBytes": .number(length)])
    }
  }
}

/// A file in memory, for as long as something holds it.
final class MappedFile: @unchecked Sendable {
  let path: String
  let length: Int
  let base: UnsafeMutableRawPointer
  /// Whole pages; what lies behind the file's end reads as zero.
  let mappedLength: Int
  private let descriptor: Int32

  init(path: String) throws {
    func failed(_ what: String) -> MetalError {
      MetalError(.file, "\(path) \(what): \(String(cString: strerror(errno))).", ["path": .text(path)])
    }
    descriptor = open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { throw failed("cannot be opened") }
    var status = stat()
    guard fstat(descriptor, &status) == 0 else {
      let error = failed("cannot be examined")
      close(descriptor)
      throw error
    }
    guard status.st_mode & S_IFMT == S_IFREG, status.st_size > 0 else {
      close(descriptor)
      throw MetalError(.file, "\(path) is no file with contents.", ["path": .text(path)])
    }
    let page = Int(getpagesize())
    let length = Int(status.st_size)
    let mappedLength = (length + page - 1) / page * page
    guard let base = mmap(nil, mappedLength, PROT_READ, MAP_SHARED, descriptor, 0), base != MAP_FAILED else {
      let error = failed("cannot be mapped")
      close(descriptor)
      throw error
    }
    self.path = path
    self.length = length
    self.base = base
    self.mappedLength = mappedLength
  }

  deinit {
    munmap(base, mappedLength)
    close(descriptor)
  }

  /// Pages behind the end of a file that was cut short end the process when they are touched.
  func checkUnchanged() throws {
    var status = stat()
    guard fstat(descriptor, &status) == 0, Int(status.st_size) >= length else {
      throw MetalError(.file, "\(path) was cut short while it was mapped.", ["path": .text(path)])
    }
  }
}

/// A mapped file, whose parts are buffers that were never copied.
public final class GPUMapping: @unchecked Sendable {
  /// Bytes.
  public let length: Int
  private let device: MTLDevice
  private let lock = NSLock()
  private var file: MappedFile?

  init(path: String, device: MTLDevice) throws {
    let file = try MappedFile(path: path)
    self.file = file
    self.device = device
    length = file.length
  }

  /// The file stays mapped while buffers of it are alive.
  public func release() { lock.withLock { file = nil } }

  /// A buffer over `length` bytes from `offset` on. Metal takes whole pages: its buffer begins and ends at their borders,
  /// one buffer per part, as a device's largest buffer may be smaller than the file.
  public func range(offset: Int, length: Int) throws -> GPUBuffer {
    guard let file = lock.withLock({ file }) else { throw MetalError(.disposed, "This mapping was released.") }
    guard offset >= 0, length >= 0, length <= file.length, offset <= file.length - length else {
      throw MetalError(
        .outOfBounds, "\(length) bytes from \(offset) on are not within the file's \(file.length).",
        ["offset": .number(offset), "byteLength": .number(length), "fileBytes": .number(file.length)])
    }
    let page = Int(getpagesize())
    let begin = min(offset, file.length - 1) / page * page
    let end = (max(offset + length, begin + 1) + page - 1) / page * page
    guard end - begin <= device.maxBufferLength else {
      throw MetalError(
        .outOfMemory, "A buffer of this device has at most \(device.maxBufferLength) bytes, not \(length).",
        ["byteLength": .number(length), "maxBufferBytes": .number(device.maxBufferLength)])
    }
    // The deallocator's closure is what holds the file: Metal drops it with the buffer.
    let buffer = Platform.releasing {
      device.makeBuffer(
        bytesNoCopy: file.base.advanced(by: begin), length: end - begin, options: .storageModeShared
      ) { _, _ in withExtendedLifetime(file) {} }
    }
    guard let buffer else {
      throw MetalError(.outOfMemory, "The device refuses a buffer of \(length) bytes over \(file.path).")
    }
    return GPUBuffer(storage: .init(buffer: buffer, offset: offset - begin, owner: file), length: length)
  }
}
