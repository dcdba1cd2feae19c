import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';

const NAMES = ['chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable'];
const ELSEWHERE = ['/Applications/Google Chrome.app/Contents/MacOS/Google Chrome'];

/** Chromium of this machine: TILEWRIGHT_CHROMIUM, or one that is installed; null where there is none. */
export function findChromium(): string | null {
  const { TILEWRIGHT_CHROMIUM: named, PATH = '' } = process.env;
  if (named !== undefined) return named;
  const places = [...NAMES.flatMap((name) => PATH.split(delimiter).map((folder) => join(folder, name))), ...ELSEWHERE];
  return (
    places.find((place) => {
      try {
        accessSync(place, constants.X_OK);
        return true;
      } catch {
        return false;
      }
    }) ?? null
  );
}
