// What a run at given sizes dispatches.

import { size } from './shape.js';

/** @import { Sizes } from './types.d.ts' */
/** @import { Dispatch, Planned, Step, VariantSection } from './webgpu.d.ts' */

/** Uniform blocks lie at multiples of this. */
export const ROW = 256;
/** Workgroups of a dispatch; shaders do in turns what is more. */
const MOST_GROUPS = 65535;

/**
 * The dispatches of a run in order, loops unrolled, and the rows of the uniform buffer that they
 * read: sizes, then the indices of the loops around them.
 * @param {string[]} symbols
 * @param {VariantSection} variant
 * @param {Sizes} sizes
 */
export function planDispatches(symbols, { loops, steps }, sizes) {
  const known = { ...sizes };
  /** @type {Planned[]} */
  const dispatches = [];
  /** @type {number[][]} */
  const rows = [];
  const visit = (/** @type {Step[]} */ steps, /** @type {number[]} */ indices) => {
    let offset = -1;
    for (const step of steps) {
      if (!Array.isArray(step)) {
        const end = size(step.count, known);
        for (let i = 0; i < end; i++) {
          known[step.index] = i;
          visit(step.body, [...indices, i]);
        }
        continue;
      }
      const groups = Math.min(size(step[1], known), MOST_GROUPS);
      if (groups < 1) continue;
      if (offset < 0) {
        offset = rows.length * ROW;
        rows.push([...symbols.map((symbol) => sizes[symbol]), ...indices]);
      }
      dispatches.push({ step, groups, offset });
    }
  };
  visit(steps, []);
  const uniforms = new Int32Array(Math.max(rows.length, 1) * (ROW / 4));
  rows.forEach((row, k) => uniforms.set(row, (k * ROW) / 4));
  return { dispatches, uniforms, width: roundUp((symbols.length + loops) * 4, 16) };
}

/** @param {VariantSection} variant */
export const shadersOf = ({ steps }) => [...new Set(dispatchesOf(steps).map(([shader]) => shader))];

/**
 * @param {Step[]} steps
 * @returns {Dispatch[]}
 */
const dispatchesOf = (steps) =>
  steps.flatMap((step) => (Array.isArray(step) ? [step] : dispatchesOf(step.body)));

/**
 * @param {number} n
 * @param {number} multiple
 */
export const roundUp = (n, multiple) => Math.ceil(n / multiple) * multiple;
