import Foundation

// The protocols and descriptors of Metal, as far as the bridge uses them: the same names, labels and optionality.

public protocol MTLDevice: AnyObject {
  var name: String { get }
  var registryID: UInt64 { get }
  var architecture: MTLArchitecture { get }
  var hasUnifiedMemory: Bool { get }
  /// Bytes.
  var recommendedMaxWorkingSetSize: UInt64 { get }
  /// Bytes of all resources that are alive.
  var currentAllocatedSize: Int { get }
  /// Bytes.
  var maxBufferLength: Int { get }
  /// Bytes.
  var maxThreadgroupMemoryLength: Int { get }
  var maxThreadsPerThreadgroup: MTLSize { get }
  var counterSets: [MTLCounterSet]? { get }

  func supportsFamily(_ gpuFamily: MTLGPUFamily) -> Bool
  func supportsCounterSampling(_ samplingPoint: MTLCounterSamplingPoint) -> Bool
  func makeCommandQueue(maxCommandBufferCount: Int) -> MTLCommandQueue?
  func makeBuffer(length: Int, options: MTLResourceOptions) -> MTLBuffer?
  func makeBuffer(
    bytesNoCopy pointer: UnsafeMutableRawPointer, length: Int, options: MTLResourceOptions,
    deallocator: ((UnsafeMutableRawPointer, Int) -> Void)?
  ) -> MTLBuffer?
  func makeLibrary(source: String, options: MTLCompileOptions?) throws -> MTLLibrary
  func makeComputePipelineState(
    descriptor: MTLComputePipelineDescriptor, options: MTLPipelineOption,
    completionHandler: @escaping (MTLComputePipelineState?, MTLComputePipelineReflection?, Error?) -> Void)
  func makeBinaryArchive(descriptor: MTLBinaryArchiveDescriptor) throws -> MTLBinaryArchive
  func makeCounterSampleBuffer(descriptor: MTLCounterSampleBufferDescriptor) throws -> MTLCounterSampleBuffer
}

public protocol MTLResource: AnyObject {
  var label: String? { get set }
}

public protocol MTLBuffer: MTLResource {
  /// Bytes.
  var length: Int { get }
  func contents() -> UnsafeMutableRawPointer
}

public final class MTLCompileOptions {
  public var fastMathEnabled = true
  public var languageVersion = MTLLanguageVersion.version3_1
  public init() {}
}

public protocol MTLLibrary: AnyObject {
  var label: String? { get set }
  var functionNames: [String] { get }
  func makeFunction(name functionName: String) -> MTLFunction?
  func makeFunction(name: String, constantValues: MTLFunctionConstantValues) throws -> MTLFunction
}

public final class MTLFunctionConstant {
  public let name: String
  public let type: MTLDataType
  public let index: Int
  public let required: Bool
  init(name: String, type: MTLDataType, index: Int, required: Bool) {
    self.name = name
    self.type = type
    self.index = index
    self.required = required
  }
}

public final class MTLFunctionConstantValues {
  struct Value: Hashable {
    let type: MTLDataType
    let bytes: [UInt8]
  }
  private(set) var values: [Int: Value] = [:]
  public init() {}

  public func setConstantValue(_ value: UnsafeRawPointer, type: MTLDataType, index: Int) {
    let size = type == .bool ? 1 : 4
    values[index] = Value(type: type, bytes: Array(UnsafeRawBufferPointer(start: value, count: size)))
  }
}

public protocol MTLFunction: AnyObject {
  var name: String { get }
  var functionConstantsDictionary: [String: MTLFunctionConstant] { get }
}

public final class MTLComputePipelineDescriptor {
  public var label: String?
  public var computeFunction: MTLFunction?
  public var binaryArchives: [MTLBinaryArchive]?
  public init() {}
}

public protocol MTLComputePipelineState: AnyObject {
  var label: String? { get }
  var maxTotalThreadsPerThreadgroup: Int { get }
  var threadExecutionWidth: Int { get }
  /// Bytes.
  var staticThreadgroupMemoryLength: Int { get }
}

public protocol MTLBinding: AnyObject {
  var name: String { get }
  var type: MTLBindingType { get }
  var access: MTLBindingAccess { get }
  var index: Int { get }
  var isUsed: Bool { get }
}

public final class MTLComputePipelineReflection {
  public let bindings: [MTLBinding]
  init(bindings: [MTLBinding]) { self.bindings = bindings }
}

public final class MTLBinaryArchiveDescriptor {
  public var url: URL?
  public init() {}
}

public protocol MTLBinaryArchive: AnyObject {
  var label: String? { get set }
  func addComputePipelineFunctions(descriptor: MTLComputePipelineDescriptor) throws
  func serialize(to url: URL) throws
}

public final class MTLCommandBufferDescriptor {
  public var errorOptions: MTLCommandBufferErrorOption = []
  public var retainedReferences = true
  public init() {}
}

public protocol MTLCommandQueue: AnyObject {
  var label: String? { get set }
  func makeCommandBuffer(descriptor: MTLCommandBufferDescriptor) -> MTLCommandBuffer?
}

public typealias MTLCommandBufferHandler = (MTLCommandBuffer) -> Void

public protocol MTLCommandBuffer: AnyObject {
  var label: String? { get set }
  var status: MTLCommandBufferStatus { get }
  var error: Error? { get }
  /// Seconds.
  var gpuStartTime: CFTimeInterval { get }
  /// Seconds.
  var gpuEndTime: CFTimeInterval { get }
  func makeComputeCommandEncoder(dispatchType: MTLDispatchType) -> MTLComputeCommandEncoder?
  func makeComputeCommandEncoder(descriptor: MTLComputePassDescriptor) -> MTLComputeCommandEncoder?
  func addCompletedHandler(_ block: @escaping MTLCommandBufferHandler)
  func commit()
  func waitUntilCompleted()
}

/// Seconds. Foundation on Linux does not declare it.
public typealias CFTimeInterval = Double

public protocol MTLComputeCommandEncoder: AnyObject {
  var label: String? { get set }
  func setComputePipelineState(_ state: MTLComputePipelineState)
  func setBuffer(_ buffer: MTLBuffer?, offset: Int, index: Int)
  func setBytes(_ bytes: UnsafeRawPointer, length: Int, index: Int)
  func setThreadgroupMemoryLength(_ length: Int, index: Int)
  func dispatchThreadgroups(_ threadgroupsPerGrid: MTLSize, threadsPerThreadgroup: MTLSize)
  func memoryBarrier(scope: MTLBarrierScope)
  func pushDebugGroup(_ string: String)
  func popDebugGroup()
  func endEncoding()
}

public protocol MTLCounterSet: AnyObject {
  var name: String { get }
}

public final class MTLCounterSampleBufferDescriptor {
  public var counterSet: MTLCounterSet?
  public var label = ""
  public var storageMode = MTLStorageMode.shared
  public var sampleCount = 0
  public init() {}
}

public protocol MTLCounterSampleBuffer: AnyObject {
  var sampleCount: Int { get }
  func resolveCounterRange(_ range: Range<Int>) throws -> Data?
}

public final class MTLComputePassSampleBufferAttachmentDescriptor {
  public var sampleBuffer: MTLCounterSampleBuffer?
  public var startOfEncoderSampleIndex = 0
  public var endOfEncoderSampleIndex = 0
}

public final class MTLComputePassSampleBufferAttachmentDescriptorArray {
  private let attachments = (0..<4).map { _ in MTLComputePassSampleBufferAttachmentDescriptor() }
  public subscript(attachmentIndex: Int) -> MTLComputePassSampleBufferAttachmentDescriptor! {
    attachments[attachmentIndex]
  }
}

public final class MTLComputePassDescriptor {
  public var dispatchType = MTLDispatchType.serial
  public let sampleBufferAttachments = MTLComputePassSampleBufferAttachmentDescriptorArray()
  public init() {}
}
