import NodeAPI

#NodeModule(exports: [
  "MetalDevice": MetalDevice.deferredConstructor,
  "MetalBuffer": MetalBuffer.deferredConstructor,
  "MetalMapping": MetalMapping.deferredConstructor,
  "MetalSubmission": MetalSubmission.deferredConstructor,
])
