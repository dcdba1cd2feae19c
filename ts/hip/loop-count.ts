// Counts what one trip of a kernel's hot loop costs, from the assembly that clang writes for an AMD target: the loop with
// the most dot products, or else with the most vector instructions. For loops whose body is straight or skips forward;
// what is skipped is counted, so that the figures are upper bounds.

export interface LoopCount {
  /** Vector instructions of a trip; a dual-issued pair is one. */
  readonly valu: number;
  readonly dots: number;
  readonly loads: number;
  /** Bytes that a lane asks the first cache for. */
  readonly laneBytes: number;
  /** Memory round trips of a trip that one wave cannot overlap. */
  readonly rounds: number;
}

interface Instruction {
  readonly opcode: string;
  readonly operands: string;
}

/** Trips that are played through, to see loads that are asked for in one trip and awaited in the next. */
const TRIPS = 8;

/** The body of the hot loop of `kernel` counted, or null if it has no loop. @throws RangeError if there is no kernel */
export function countLoop(assembly: string, kernel: string): LoopCount | null {
  const body = hotLoop(functionLines(assembly, kernel));
  if (body === null) return null;
  const loads = body.flatMap(({ opcode }) => loadBytes(opcode) ?? []);
  return {
    valu: body.filter(({ opcode }) => isVector(opcode)).length,
    dots: body.filter(({ opcode }) => opcode.startsWith('v_dot')).length,
    loads: loads.length,
    laneBytes: loads.reduce((sum, bytes) => sum + bytes, 0),
    rounds: loadRounds(body),
  };
}

/** Names of the kernels of an assembly file. */
export function kernelNames(assembly: string): readonly string[] {
  return [...assembly.matchAll(/^\s*\.amdhsa_kernel\s+(\S+)/gm)].map(([, name]) => name!);
}

function functionLines(assembly: string, kernel: string): readonly string[] {
  const from = assembly.indexOf(`\n${kernel}:`);
  const to = assembly.indexOf('.section', from);
  if (from === -1) throw new RangeError(`the assembly has no kernel ${kernel}`);
  return assembly.slice(from + 1, to === -1 ? undefined : to).split('\n');
}

function hotLoop(lines: readonly string[]): readonly Instruction[] | null {
  const instructions: Instruction[] = [];
  const labels = new Map<string, number>();
  const loops: { from: number; to: number }[] = [];
  for (const line of lines) {
    const text = line.replace(/;.*$/, '').trim();
    const label = /^([.\w$]+):$/.exec(text)?.[1];
    if (label !== undefined) labels.set(label, instructions.length);
    const [, opcode, operands = ''] = /^([a-z]\w*)\s*(.*)$/.exec(text) ?? [];
    if (opcode === undefined || label !== undefined) continue;
    const target = /^s_c?branch/.test(opcode) ? labels.get(operands.trim()) : undefined;
    instructions.push({ opcode, operands });
    if (target !== undefined) loops.push({ from: target, to: instructions.length });
  }
  const innermost = loops.filter(
    (loop) => !loops.some((other) => other !== loop && other.from >= loop.from && other.to <= loop.to),
  );
  const bodies = innermost.map(({ from, to }) => instructions.slice(from, to));
  const heat = (body: readonly Instruction[]) =>
    body.reduce((sum, { opcode }) => sum + (opcode.startsWith('v_dot') ? 1000 : isVector(opcode) ? 1 : 0), 0);
  return bodies.reduce<Instruction[] | null>(
    (best, body) => (best === null || heat(body) > heat(best) ? body : best),
    null,
  );
}

const isVector = (opcode: string): boolean => /^v_(?!mfma|wmma|swmmac|smfma)/.test(opcode);

/** Bytes per lane of a load from device memory, or null. */
function loadBytes(opcode: string): number | null {
  const kind = /^(?:global|flat|buffer)_load_(\w+)$/.exec(opcode)?.[1];
  if (kind === undefined) return null;
  const words = /^(?:dword(?:x(\d))?|b(\d+))$/.exec(kind);
  if (words !== null) return words[2] !== undefined ? Number(words[2]) / 8 : 4 * Number(words[1] ?? 1);
  return /byte|[ui]8/.test(kind) ? 1 : 2;
}

/** Loads that a wait leaves in flight, or null if the instruction waits for none. */
function waitsFor({ opcode, operands }: Instruction): number | null {
  if (opcode === 's_waitcnt') {
    const count = /vmcnt\((\d+)\)/.exec(operands)?.[1];
    return count === undefined ? null : Number(count);
  }
  return opcode === 's_wait_loadcnt' ? Number(operands) : null;
}

/**
 * Plays the loop with loads that take one unit of time and come back in order, and everything else for nothing. What is
 * asked for before a wait ends travels together.
 */
function loadRounds(body: readonly Instruction[]): number {
  let now = 0;
  const flying: number[] = [];
  for (let trip = 0; trip < TRIPS; trip++) {
    for (const instruction of body) {
      if (loadBytes(instruction.opcode) !== null) flying.push(now + 1);
      const left = waitsFor(instruction);
      while (left !== null && flying.length > left) now = Math.max(now, flying.shift()!);
    }
  }
  return Math.ceil(now / TRIPS);
}
