import type { Capabilities } from '../device/backend.ts';
import { coresOf } from '../dispatch/metal/tuning.ts';
import { CHIPS, type Chip } from './chips.ts';

/** Bytes of memory traffic and clocks of the newest generation stand in for chips that are newer still. */
const NEWEST = Math.max(...CHIPS.map(({ generation }) => generation));

/**
 * The chip that a Metal device is: by its name and cores, else the one of its generation with about as many cores, its
 * bandwidth in proportion. Never fails, as a ranking needs no more than a likeness.
 */
export function chipOf(capabilities: Capabilities): Chip {
  const cores = coresOf(capabilities);
  const named = CHIPS.filter(({ deviceName }) => deviceName === capabilities.deviceName);
  const exact = named.find((chip) => chip.cores === cores);
  if (exact !== undefined) return exact;
  const family = CHIPS.filter(({ architecture }) => architecture === capabilities.architecture);
  const alike =
    named.length > 0 ? named : family.length > 0 ? family : CHIPS.filter(({ generation }) => generation === NEWEST);
  const distance = (chip: Chip) => Math.abs(Math.log(chip.cores / cores));
  const near = alike.reduce((best, chip) => (distance(chip) < distance(best) ? chip : best));
  const scale = named.length > 0 ? 1 : cores / near.cores;
  return {
    ...near,
    name: `${near.name} (${cores} cores)`,
    ...{ deviceName: capabilities.deviceName, cores, bandwidthGbps: near.bandwidthGbps * scale },
  };
}
