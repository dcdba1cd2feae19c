import { PassThrough } from 'node:stream';
import type { WriteStream } from 'node:tty';
import { describe, expect, it } from 'vitest';
import { ProgressLine } from '../../bench/report/progress.ts';

/** A stream that looks like a terminal of 20 columns, or like none, and keeps what was written. */
function stream(isTTY: boolean) {
  const sink = Object.assign(new PassThrough(), { isTTY, columns: 20 }) as unknown as WriteStream;
  return { sink, text: () => String((sink as unknown as PassThrough).read() ?? '') };
}

describe('the progress line', () => {
  it('says nothing where there is no terminal', () => {
    const { sink, text } = stream(false);
    const progress = new ProgressLine(sink);
    progress.update('working');
    progress.dispose();
    expect(text()).toBe('');
  });

  it('stays in one line, is not rewritten all the time, and goes away', () => {
    const { sink, text } = stream(true);
    const progress = new ProgressLine(sink);
    progress.update('a text that is longer than the terminal');
    progress.update('news that come too soon');
    const written = text();
    expect(written).toContain('a text that is long');
    expect(written).not.toContain('longer');
    expect(written).not.toContain('news');
    expect(written).not.toContain('\n');
    progress.dispose();
    expect(text()).toBe('\u001b[1G\u001b[2K');
    progress.dispose();
    expect(text()).toBe('');
  });
});
