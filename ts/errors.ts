/**
 * Every failure that tilewright itself reports. The code is stable and meant for programs; the message says what is
 * wrong and what to do about it, and is meant for people.
 */
export type ErrorCode =
  | 'ERR_INVALID_ARGUMENT'
  | 'ERR_SHAPE_MISMATCH'
  | 'ERR_DTYPE_UNSUPPORTED'
  | 'ERR_FORMAT_UNKNOWN'
  | 'ERR_OUT_OF_BOUNDS'
  | 'ERR_DISPOSED'
  | 'ERR_WRONG_DEVICE'
  | 'ERR_OUT_OF_MEMORY'
  | 'ERR_QUEUE_FULL'
  | 'ERR_BACKEND_UNAVAILABLE'
  | 'ERR_NATIVE_MISSING'
  | 'ERR_NATIVE_FAILURE'
  | 'ERR_KERNEL_UNKNOWN'
  | 'ERR_KERNEL_COMPILE'
  | 'ERR_KERNEL_LAUNCH'
  | 'ERR_NO_KERNEL'
  | 'ERR_CUSTOM_KERNEL'
  | 'ERR_GGUF_TRUNCATED'
  | 'ERR_GGUF_INVALID'
  | 'ERR_GGUF_UNSUPPORTED'
  | 'ERR_GGUF_LIMIT'
  | 'ERR_TENSOR_NOT_FOUND'
  | 'ERR_FILE'
  | 'ERR_USAGE';

/** Values that explain an error: shapes, names, limits. Plain data, so that it can be logged as JSON. */
export type ErrorDetails = Readonly<Record<string, unknown>>;

/** The one error class of the package; tell failures apart by {@link TilewrightError.code}. */
export class TilewrightError extends Error {
  override readonly name = 'TilewrightError';
  readonly code: ErrorCode;
  readonly details: ErrorDetails;

  constructor(code: ErrorCode, message: string, options: { details?: ErrorDetails; cause?: unknown } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.details = options.details ?? {};
  }
}
