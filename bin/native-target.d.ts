export function nativeTarget(): string;
export function cacheFolder(): string | null;
export function nativeCacheFolder(version: string): string | null;
