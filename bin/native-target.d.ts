export function nativeTarget(): string;
export function nativeCacheFolder(version: string): string | null;
