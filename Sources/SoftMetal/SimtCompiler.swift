import Foundation
import Simt

/// The package's own compiler of MSL, in a process of its own as Metal's is, and the executor of its modules in this one.
public final class SimtCompiler: SoftCompiler, @unchecked Sendable {
  private struct Reply: Decodable {
    struct Problem: Decodable {
      struct Finding: Decodable {
        var file: String
        var line: Int
        var column: Int?
        var message: String
      }
      var code: String
      var message: String
      var findings: [Finding]
    }
    var module: String?
    var signature: SoftSignature?
    var error: Problem?
  }

  private let command: [String]

  /// - Parameter command: program and arguments; the program is looked for in the PATH.
  public init(command: [String]) { self.command = command }

  public func check(source: String) throws -> SoftSignature {
    try reply(source, ["--check"]).signature
  }

  public func compile(source: String, kernel: String) throws -> any SoftKernel {
    let name = NSRegularExpression.escapedPattern(for: kernel)
    let (module, _) = try reply(source, ["--only", "^\(name)$"])
    guard let module else { throw CompileFailure(log: "the compiler gives no code for \(kernel)", isInternal: true) }
    return try SimtKernel(module: module)
  }

  private func reply(_ source: String, _ arguments: [String]) throws -> (module: String?, signature: SoftSignature) {
    let output = try run(source, arguments)
    guard let reply = try? JSONDecoder().decode(Reply.self, from: output) else {
      throw CompileFailure(log: "\(command.joined(separator: " ")) does not answer in JSON", isInternal: true)
    }
    if let problem = reply.error {
      guard problem.code == "ERR_KERNEL_COMPILE" else { throw CompileFailure(log: problem.message, isInternal: true) }
      // As Metal's compiler prints them. The file is one of the compiler's cache unless `#line` named another.
      let lines = problem.findings.map { finding in
        let file = finding.file.hasSuffix("/source.metal") ? "program_source" : finding.file
        return "\(file):\(finding.line):\(finding.column ?? 1): error: \(finding.message)"
      }
      throw CompileFailure(log: lines.joined(separator: "\n"))
    }
    guard let signature = reply.signature else {
      throw CompileFailure(log: "the compiler's answer is incomplete", isInternal: true)
    }
    return (reply.module, signature)
  }

  private func run(_ source: String, _ arguments: [String]) throws -> Data {
    guard let program = command.first else {
      throw CompileFailure(log: "No compiler: set `compiler` in \(SoftConfiguration.variable)", isInternal: true)
    }
    let process = Process()
    process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
    process.arguments = [program] + command.dropFirst() + arguments
    let input = Pipe()
    let output = Pipe()
    process.standardInput = input
    process.standardOutput = output
    do {
      try process.run()
    } catch {
      throw CompileFailure(log: "\(program) cannot be started: \(error)", isInternal: true)
    }
    // Written from another thread: a compiler that answers before it has read everything must not block both sides.
    DispatchQueue.global().async {
      try? input.fileHandleForWriting.write(contentsOf: Data(source.utf8))
      try? input.fileHandleForWriting.close()
    }
    let answer = try output.fileHandleForReading.readToEnd() ?? Data()
    process.waitUntilExit()
    return answer
  }
}

private final class SimtKernel: SoftKernel, @unchecked Sendable {
  private struct Report: Decodable {
    struct Finding: Decodable {
      var rule: String
      var message: String
      var count: Int?
    }
    var refused: String?
    var findings: [Finding]
  }

  private let module: OpaquePointer

  init(module path: String) throws {
    var text = [CChar](repeating: 0, count: 512)
    guard let module = simt_load(path, &text, text.count) else {
      throw CompileFailure(log: String(cString: text), isInternal: true)
    }
    self.module = module
  }

  deinit { simt_unload(module) }

  func run(_ dispatch: SoftDispatch) throws {
    let report = try report(dispatch)
    if let refused = report.refused { throw SoftFault(kind: .other, message: "\(dispatch.kernel): \(refused)") }
    guard let finding = report.findings.first else { return }
    let kind: SoftFault.Kind =
      switch finding.rule {
      case "hang": .timeout
      case "out-of-bounds", "stack-overflow": .pageFault
      default: .other
      }
    throw SoftFault(kind: kind, message: "\(dispatch.kernel): \(finding.rule): \(finding.message)")
  }

  private func report(_ dispatch: SoftDispatch) throws -> Report {
    let names = dispatch.bindings.map { strdup($0.name) }
    defer { for name in names { free(name) } }
    // Memory that is also bound for writing is device memory, whatever a second parameter says.
    let written = Set(dispatch.bindings.filter { !$0.readOnly }.map(\.memory))
    let bindings = zip(dispatch.bindings, names).map { binding, name in
      let readOnly = !written.contains(binding.memory)
      var flags: UInt32 = readOnly ? SIMT_BUFFER_READ_ONLY.rawValue : 0
      if binding.isConstant && readOnly { flags |= SIMT_BUFFER_CONSTANT.rawValue }
      return simt_binding(
        index: UInt32(binding.index), flags: flags, data: binding.memory, size: UInt64(binding.length),
        same_as: Int32(binding.sharedWith ?? -1), name: name, offset: UInt64(binding.offset))
    }
    let values = dispatch.constants.values.flatMap { $0 + Array(repeating: 0, count: 4 - $0.count) }
    let threadgroupBytes = dispatch.threadgroupMemory.map(UInt32.init)
    let text: UnsafeMutablePointer<CChar>? = dispatch.kernel.withCString { kernel in
      bindings.withUnsafeBufferPointer { bindings in
        threadgroupBytes.withUnsafeBufferPointer { threadgroupBytes in
          values.withUnsafeBytes { values in
            let constants = dispatch.constants.enumerated().map { i, constant in
              simt_constant(
                id: UInt32(constant.key), size: UInt32(constant.value.count), value: values.baseAddress! + 4 * i)
            }
            var request = simt_dispatch()
            request.kernel = kernel
            request.grid = dispatch.threadgroups.triple
            request.group = dispatch.threads.triple
            request.max_threads = UInt32(dispatch.maxThreads)
            request.binding_count = UInt32(bindings.count)
            request.bindings = bindings.baseAddress
            request.threadgroup_count = UInt32(threadgroupBytes.count)
            request.threadgroup_bytes = threadgroupBytes.baseAddress
            request.timeout_ms = UInt64(dispatch.timeoutMs)
            request.constant_count = UInt32(constants.count)
            return constants.withUnsafeBufferPointer { constants in
              request.constants = constants.baseAddress
              return simt_run(module, &request)
            }
          }
        }
      }
    }
    guard let text else { throw SoftFault(kind: .outOfMemory, message: "\(dispatch.kernel): no memory for the report") }
    defer { simt_free(text) }
    return try JSONDecoder().decode(Report.self, from: Data(bytes: text, count: strlen(text)))
  }
}

extension MTLSize {
  fileprivate var triple: (UInt32, UInt32, UInt32) {
    (UInt32(clamping: width), UInt32(clamping: height), UInt32(clamping: depth))
  }
}
