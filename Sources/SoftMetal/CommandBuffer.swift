import Foundation

final class SoftCommandQueue: MTLCommandQueue {
  var label: String?
  let device: SoftDevice
  private let room: DispatchSemaphore

  init(device: SoftDevice, limit: Int) {
    self.device = device
    room = DispatchSemaphore(value: limit)
  }

  /// Blocks, as Metal does, while the queue's command buffers are all under way.
  func makeCommandBuffer(descriptor: MTLCommandBufferDescriptor) -> MTLCommandBuffer? {
    room.wait()
    return SoftCommandBuffer(device: device, room: room)
  }
}

/// Seconds of the clock that counters and command buffers share.
func softNow() -> Double { Double(DispatchTime.now().uptimeNanoseconds) / 1e9 }

final class SoftCommandBuffer: MTLCommandBuffer, @unchecked Sendable {
  var label: String?
  private let device: SoftDevice
  private let room: DispatchSemaphore
  private let state = NSCondition()
  private var passes: [SoftComputeEncoder] = []
  private var handlers: [MTLCommandBufferHandler] = []
  private var currentStatus = MTLCommandBufferStatus.notEnqueued
  private var currentError: NSError?
  private var times = (begin: 0.0, end: 0.0)

  init(device: SoftDevice, room: DispatchSemaphore) {
    self.device = device
    self.room = room
  }

  deinit {
    if currentStatus != .completed && currentStatus != .error { room.signal() }
  }

  var status: MTLCommandBufferStatus { state.withLock { currentStatus } }
  var error: Error? { state.withLock { currentError } }
  var gpuStartTime: CFTimeInterval { state.withLock { times.begin } }
  var gpuEndTime: CFTimeInterval { state.withLock { times.end } }

  func makeComputeCommandEncoder(dispatchType: MTLDispatchType) -> MTLComputeCommandEncoder? {
    let descriptor = MTLComputePassDescriptor()
    descriptor.dispatchType = dispatchType
    return makeComputeCommandEncoder(descriptor: descriptor)
  }

  func makeComputeCommandEncoder(descriptor: MTLComputePassDescriptor) -> MTLComputeCommandEncoder? {
    // One encoder at a time, and none after the commit: Metal's validation ends the process for either.
    guard status == .notEnqueued, passes.allSatisfy(\.ended) else { return nil }
    let encoder = SoftComputeEncoder(descriptor: descriptor, device: device)
    passes.append(encoder)
    return encoder
  }

  func addCompletedHandler(_ block: @escaping MTLCommandBufferHandler) {
    state.withLock { handlers.append(block) }
  }

  func commit() {
    state.withLock { currentStatus = .committed }
    device.processor.async { self.execute() }
  }

  func waitUntilCompleted() {
    state.withLock {
      while currentStatus != .completed && currentStatus != .error { state.wait() }
    }
  }

  private func execute() {
    let begin = softNow()
    var problem: NSError?
    switch device.nextFailure() {
    case .hang?: return
    case .deviceRemoved?: problem = Self.error(.deviceRemoved, "The device was removed")
    case .outOfMemory?: problem = Self.error(.outOfMemory, "Insufficient memory")
    case .timeout?: problem = Self.error(.timeout, "Caused GPU timeout error")
    case .pageFault?: problem = Self.error(.pageFault, "Caused GPU address fault error")
    case .internal?: problem = Self.error(.internal, "Internal error")
    case nil:
      do {
        for pass in passes { try pass.execute() }
      } catch let fault as SoftFault {
        problem = Self.error(fault)
      } catch {
        problem = Self.error(.internal, "\(error)")
      }
    }
    let done = state.withLock {
      times = (begin, softNow())
      currentError = problem
      currentStatus = problem == nil ? .completed : .error
      passes = []
      defer { handlers = [] }
      state.broadcast()
      return handlers
    }
    room.signal()
    for handler in done { handler(self) }
  }

  private static func error(_ fault: SoftFault) -> NSError {
    switch fault.kind {
    case .timeout: error(.timeout, fault.message)
    case .pageFault: error(.pageFault, fault.message)
    case .outOfMemory: error(.outOfMemory, fault.message)
    case .other: error(.internal, fault.message)
    }
  }

  private static func error(_ code: CommandBufferCode, _ text: String) -> NSError {
    failure(MTLCommandBufferErrorDomain, code.rawValue, text)
  }
}
