/**
 * What a GGUF header may claim. A file from the network can say anything, so nothing is allocated before it was held
 * against the bytes that are really there and against these limits. Each lies far above every published model and low
 * enough that a hostile file of that size is refused or read, never run out of memory with.
 */

/** The largest known header (Gemma 4: 262144 tokens and 515k merges) has 15.8 MB; one that embeds a tokenizer.json, 50. */
export const MAX_HEADER_BYTES = 128 * 2 ** 20;

/** Models carry 20 to 100 pairs. Each costs a string and an object entry, so the count bounds the heap. */
export const MAX_METADATA_COUNT = 65_536;

/** One tensor per expert, the most wasteful layout in use, comes to 70 thousand; a tensor costs about 250 bytes here. */
export const MAX_TENSOR_COUNT = 262_144;

/** The format's own rule for keys. */
export const MAX_KEY_BYTES = 65_535;

/** ggml keeps 63 bytes and builds of it up to 127; twice that. */
export const MAX_TENSOR_NAME_BYTES = 255;

/** The longest strings in use are embedded tokenizer.json files of about 35 MB; each becomes one JavaScript string. */
export const MAX_STRING_BYTES = 64 * 2 ** 20;

/** The largest vocabularies have 2^18 tokens; this is 64 times as many. */
export const MAX_ARRAY_LENGTH = 2 ** 24;

/** ggml refuses arrays of arrays and no published model has one. They are decoded at open, so their count is bounded. */
export const MAX_NESTED_ARRAYS = 65_536;

/** The reader recurses once per level. */
export const MAX_ARRAY_DEPTH = 4;

/** ggml's GGML_MAX_DIMS. */
export const MAX_DIMS = 4;

/** A huge page. More would only pad, and the padding is what the writer has to write. */
export const MAX_ALIGNMENT = 2 ** 21;

/** The format: an alignment is a multiple of 8 (so every tensor can be read in place as 64-bit words). */
export const MIN_ALIGNMENT = 8;

/** Where `general.alignment` is absent. */
export const DEFAULT_ALIGNMENT = 32;

/** The first read, which takes most headers in whole. */
export const READ_CHUNK_BYTES = 2 ** 20;

/** Later reads grow to this: fewer trips to the thread pool, and no more than this is read beyond the header. */
export const MAX_READ_CHUNK_BYTES = 4 * 2 ** 20;

/**
 * Room for a header that the first read does not take in, before it has to move to a larger buffer: any known one fits.
 * Memory that is not written to is not taken from the system. Smaller files get their own size.
 */
export const HEADER_BUFFER_BYTES = 32 * 2 ** 20;

/** As much as @huggingface/gguf reads of a remote file before it gives up. */
export const MAX_REMOTE_HEADER_BYTES = 50_000_000;

/** A whole remote header, redirects and retries included: 16 MB at 2 Mbit/s. */
export const REMOTE_TIMEOUT_MS = 60_000;
