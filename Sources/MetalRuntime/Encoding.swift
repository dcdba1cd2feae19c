import Foundation

/// A part of a list that is one command buffer.
struct Chunk {
  let run: Run
  let launches: Range<Int>

  /// Of its kernels, in order.
  var names: [String] { run.list.launches[launches].map(\.pipeline.name) }
}

/// When something began and ended, in milliseconds of the GPU's clock.
public struct Span: Encodable, Equatable, Sendable {
  public var begin: Double
  public var end: Double
}

/// Puts launches into command buffers, and reads the times of those that have run.
struct ChunkEncoder {
  /// Command buffers are cut there: the system ends those that take longer than about ten seconds, and what is not
  /// committed yet can be cancelled. Their times take two samples each; Metal's sample buffers hold 4096.
  static let launchesPerBuffer = 64

  let device: MTLDevice
  let queue: MTLCommandQueue
  /// Where the device samples its clock between passes.
  let timestamps: MTLCounterSet?
  /// Timestamps of Apple's GPUs are nanoseconds; others have ticks of their own.
  let isNanoseconds: Bool

  init(device: MTLDevice, queue: MTLCommandQueue) {
    self.device = device
    self.queue = queue
    timestamps =
      device.supportsCounterSampling(.atStageBoundary)
      ? device.counterSets?.first { $0.name == MTLCommonCounterSet.timestamp.rawValue } : nil
    isNanoseconds = device.supportsFamily(.apple5)
  }

  /// Launches per command buffer. Without samples, a launch that is timed is a command buffer of its own.
  func chunks(of run: Run) -> [Chunk] {
    let count = run.list.launches.count
    let size = run.isTimed && timestamps == nil ? 1 : Self.launchesPerBuffer
    return stride(from: 0, to: count, by: size).map { Chunk(run: run, launches: $0..<min($0 + size, count)) }
  }

  struct Encoded {
    let commandBuffer: MTLCommandBuffer
    let samples: MTLCounterSampleBuffer?
  }

  func encode(_ chunk: Chunk) throws -> Encoded {
    let descriptor = MTLCommandBufferDescriptor()
    descriptor.errorOptions = .encoderExecutionStatus
    guard let commandBuffer = queue.makeCommandBuffer(descriptor: descriptor) else {
      throw MetalError(.failure, "Metal gives no command buffer.")
    }
    commandBuffer.label = "tilewright"
    if chunk.run.isTimed, let timestamps {
      return Encoded(commandBuffer: commandBuffer, samples: try encodeTimed(chunk, timestamps, commandBuffer))
    }
    let encoder = try Self.check(commandBuffer.makeComputeCommandEncoder(dispatchType: .concurrent))
    var hazards = Hazards()
    for launch in chunk.run.list.launches[chunk.launches] {
      if hazards.add(launch, chunk.run.list.buffers) { encoder.memoryBarrier(scope: .buffers) }
      Self.encode(launch, chunk.run.list, encoder)
    }
    encoder.endEncoding()
    return Encoded(commandBuffer: commandBuffer, samples: nil)
  }

  /// Each launch is a pass, as clocks are sampled between passes only. Metal orders passes by the buffers they share.
  private func encodeTimed(
    _ chunk: Chunk, _ timestamps: MTLCounterSet, _ commandBuffer: MTLCommandBuffer
  ) throws -> MTLCounterSampleBuffer {
    let wanted = MTLCounterSampleBufferDescriptor()
    wanted.counterSet = timestamps
    wanted.storageMode = .shared
    wanted.sampleCount = 2 * chunk.launches.count
    let samples: MTLCounterSampleBuffer
    do {
      samples = try device.makeCounterSampleBuffer(descriptor: wanted)
    } catch {
      throw MetalError(
        .failure, "Metal gives no buffer for timestamps: \(Platform.error(error).localizedDescription)")
    }
    for (i, launch) in chunk.run.list.launches[chunk.launches].enumerated() {
      let pass = MTLComputePassDescriptor()
      let attachment = pass.sampleBufferAttachments[0]!
      attachment.sampleBuffer = samples
      attachment.startOfEncoderSampleIndex = 2 * i
      attachment.endOfEncoderSampleIndex = 2 * i + 1
      let encoder = try Self.check(commandBuffer.makeComputeCommandEncoder(descriptor: pass))
      Self.encode(launch, chunk.run.list, encoder)
      encoder.endEncoding()
    }
    return samples
  }

  private static func check(_ encoder: MTLComputeCommandEncoder?) throws -> MTLComputeCommandEncoder {
    guard let encoder else { throw MetalError(.failure, "Metal gives no encoder.") }
    return encoder
  }

  private static func encode(_ launch: Launch, _ list: CommandList, _ encoder: MTLComputeCommandEncoder) {
    // Names in a capture; nobody else sees them.
    let isCaptured = MTLCaptureManager.shared().isCapturing
    if isCaptured { encoder.pushDebugGroup(launch.pipeline.name) }
    defer { if isCaptured { encoder.popDebugGroup() } }
    encoder.setComputePipelineState(launch.pipeline.state)
    for binding in launch.bindings {
      encoder.setBuffer(list.buffers[binding.buffer].buffer, offset: binding.offset, index: binding.argument)
    }
    if !launch.parameters.isEmpty {
      list.bytes.withUnsafeBytes { bytes in
        let parameters = UnsafeRawBufferPointer(rebasing: bytes[launch.parameters])
        encoder.setBytes(parameters.baseAddress!, length: parameters.count, index: launch.parameterArgument)
      }
    }
    for (index, length) in launch.threadgroupMemory.enumerated() where length > 0 {
      encoder.setThreadgroupMemoryLength(length, index: index)
    }
    encoder.dispatchThreadgroups(launch.threadgroups, threadsPerThreadgroup: launch.threads)
  }

  /// Times of a completed chunk's launches: from its samples, else one for all of them.
  func times(of chunk: Chunk, _ encoded: Encoded) -> [Span] {
    let all = Span(begin: encoded.commandBuffer.gpuStartTime * 1e3, end: encoded.commandBuffer.gpuEndTime * 1e3)
    let count = chunk.launches.count
    guard let samples = encoded.samples, let data = try? samples.resolveCounterRange(0..<2 * count) else {
      return Array(repeating: all, count: count)
    }
    let ticks = data.withUnsafeBytes { raw in
      (0..<2 * count).map { raw.loadUnaligned(fromByteOffset: 8 * $0, as: UInt64.self) }
    }
    // All ones is Metal's word for a sample that failed.
    guard let first = ticks.min(), let last = ticks.max(), last != .max, first > 0 else {
      return Array(repeating: all, count: count)
    }
    // The samples' clock has another origin than the command buffer's times: the first sample is its begin.
    let perTick = isNanoseconds || last == first ? 1e-6 : (all.end - all.begin) / Double(last - first)
    func time(_ tick: UInt64) -> Double { all.begin + Double(tick - first) * perTick }
    return (0..<count).map { Span(begin: time(ticks[2 * $0]), end: max(time(ticks[2 * $0]), time(ticks[2 * $0 + 1]))) }
  }
}
