import { type ErrorCode, TilewrightError } from '../errors.ts';

export type GGUFErrorCode = Extract<ErrorCode, `ERR_GGUF_${string}`>;

/** Where in which file something was found wrong. */
export interface Place {
  readonly file: string;
  /** Byte offset in the file. */
  readonly offset: number;
  /** What was being read there. */
  readonly reading: string;
}

/** An error about a file: every one names the file, the offset and what was being read. */
export function ggufError(code: GGUFErrorCode, place: Place, problem: string): TilewrightError {
  return new TilewrightError(code, `${place.file}: ${problem} (reading ${place.reading}, byte ${place.offset})`, {
    details: { ...place },
  });
}

/** Text of a hostile file in a message: quoted, one line, not endless. */
export function quote(text: string): string {
  return JSON.stringify(text.length > 100 ? `${text.slice(0, 100)}…` : text);
}
