import NodeAPI

#NodeModule(exports: ["Pitfalls": Pitfalls.deferredConstructor])

@NodeClass @NodeActor final class Pitfalls {
  /// Elements that `withUnsafeMutableBytes` gives of a Float32Array.
  @NodeMethod static func floatCount(_ array: NodeTypedArray<Float>) throws -> Int {
    try array.withUnsafeMutableBytes { $0.count }
  }

  /// And of a Uint8Array.
  @NodeMethod static func byteCount(_ array: NodeTypedArray<UInt8>) throws -> Int {
    try array.withUnsafeMutableBytes { $0.count }
  }
}
