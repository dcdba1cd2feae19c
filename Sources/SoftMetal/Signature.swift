/// What the compiler says about a source: its kernels and their arguments.
public struct SoftSignature: Codable, Sendable {
  public struct Kernel: Codable, Sendable {
    public var name: String
    public var parameters: [Parameter]
    /// `[[max_total_threads_per_threadgroup(n)]]`
    public var maxThreads: Int?

    public init(name: String, parameters: [Parameter], maxThreads: Int? = nil) {
      self.name = name
      self.parameters = parameters
      self.maxThreads = maxThreads
    }
  }

  public struct Parameter: Codable, Sendable {
    public var name: String
    /// `buffer`, `threadgroup`, or something that no host binds.
    public var kind: String
    /// `device`, `constant` or `threadgroup`.
    public var space: String?
    public var index: Int?
    public var readOnly: Bool?
    /// Name of the function constant that decides whether the argument exists.
    public var condition: String?

    public init(
      name: String, kind: String, space: String? = nil, index: Int? = nil, readOnly: Bool? = nil,
      condition: String? = nil
    ) {
      self.name = name
      self.kind = kind
      self.space = space
      self.index = index
      self.readOnly = readOnly
      self.condition = condition
    }
  }

  public struct Constant: Codable, Sendable {
    public var name: String
    public var id: Int
    /// As MSL spells it.
    public var type: String

    public init(name: String, id: Int, type: String) {
      self.name = name
      self.id = id
      self.type = type
    }

    var dataType: MTLDataType {
      switch type {
      case "bool": .bool
      case "uint": .uint
      case "int": .int
      case "float": .float
      default: .none
      }
    }
  }

  public var kernels: [Kernel]
  public var constants: [Constant]

  public init(kernels: [Kernel], constants: [Constant] = []) {
    self.kernels = kernels
    self.constants = constants
  }

  func kernel(_ name: String) -> Kernel? { kernels.first { $0.name == name } }
}

/// Turns MSL into something that runs. The device's own is ``SimtCompiler``; tests bring functions in Swift.
public protocol SoftCompiler: AnyObject, Sendable {
  /// Throws ``CompileFailure``.
  func check(source: String) throws -> SoftSignature
  /// Throws ``CompileFailure``.
  func compile(source: String, kernel: String) throws -> any SoftKernel
}

public protocol SoftKernel: AnyObject, Sendable {
  /// Throws ``SoftFault``.
  func run(_ dispatch: SoftDispatch) throws
}

/// The source is wrong, or (`isInternal`) there is no compiler.
public struct CompileFailure: Error {
  public var log: String
  public var isInternal = false

  public init(log: String, isInternal: Bool = false) {
    self.log = log
    self.isInternal = isInternal
  }
}

/// What a kernel did wrong.
public struct SoftFault: Error {
  public enum Kind: Sendable { case timeout, pageFault, outOfMemory, other }
  public var kind: Kind
  public var message: String

  public init(kind: Kind, message: String) {
    self.kind = kind
    self.message = message
  }
}

/// One launch, with the memory that it works on.
public struct SoftDispatch: @unchecked Sendable {
  public struct Binding {
    public var index: Int
    /// Start of the buffer's memory.
    public var memory: UnsafeMutableRawPointer
    /// Bytes of it.
    public var length: Int
    /// Of the kernel's pointer, in bytes.
    public var offset: Int
    public var readOnly: Bool
    public var isConstant: Bool
    public var name: String
    /// Index of another binding that has the same memory.
    public var sharedWith: Int?
  }

  public var kernel: String
  public var threadgroups: MTLSize
  public var threads: MTLSize
  /// Per threadgroup that the kernel allows; 0: no limit of its own.
  public var maxThreads: Int
  public var constants: [Int: [UInt8]]
  public var bindings: [Binding]
  /// Bytes, by `[[threadgroup(n)]]`.
  public var threadgroupMemory: [Int]
  /// Of processor time.
  public var timeoutMs: Double
}
