// Sizes: what the symbols of an entry are in a run, found from the shapes of what it is given.

import { WebconvError } from './errors.js';

/** @import { Dim, EntryType, Sizes, TensorType } from './types.d.ts' */

/** @typedef {{ data: ArrayLike<number | bigint>, shape?: number[] }} Given */

/**
 * The value of a size.
 * @param {Dim} dim
 * @param {Sizes} sizes
 */
export const size = (dim, sizes) =>
  typeof dim === 'function' ? dim(sizes) : typeof dim === 'string' ? sizes[dim] : dim;

/** How a size is computed, as people write it. @param {Dim} dim */
const formula = (dim) => String(dim).replace(/\(?s\)? => |\bs\.|Math\./g, '');

/** Longer formulas tell nobody anything. */
const LONGEST = 100;

/** @param {number[]} shape */
export const count = (shape) => shape.reduce((product, n) => product * n, 1);

/** @param {(Dim | string)[]} shape */
const written = (shape) => `[${shape.join(', ')}]`;

/**
 * Finds the sizes of a run: adds to `sizes` (what is known already) and returns it.
 * @param {Pick<EntryType, 'symbols' | 'inputs' | 'values' | 'outputs' | 'guards'>} entry
 * @param {Given[]} given in the order of `entry.inputs`; data without a shape is flat
 * @param {Sizes} sizes
 */
export function bindSizes({ symbols, inputs, values, outputs, guards }, given, sizes) {
  const held = Object.keys(sizes).join(' and ');
  given.forEach(({ shape }, i) => shape && bindShape(inputs[i], shape, sizes));
  given.forEach(({ data, shape }, i) => shape || bindLength(inputs[i], data.length, sizes));
  for (const symbol of symbols) sizes[symbol] ??= 1;
  given.forEach((tensor, i) => checkShape(inputs[i], tensor, sizes, held));
  for (const [symbol, input, element] of values ?? []) {
    sizes[symbol] = Number(given[input].data[element]);
  }
  const shapes = inputs.map(({ name, shape }) => {
    return `'${name}' has shape ${written(shape.map((dim) => size(dim, sizes)))}`;
  });
  checkGuards(guards, sizes, shapes.join(', '));
  for (const { name, shape } of outputs) {
    const actual = shape.map((dim) => size(dim, sizes));
    if (actual.some((n) => n < 0)) {
      const rule = `the inputs are too small: '${name}' would have shape`;
      throw new WebconvError('shape', `${rule} ${written(actual)}`);
    }
  }
  return sizes;
}

/**
 * Guards whose second size is 0 say by how many elements a slice or window would leave its tensor.
 * @param {[Dim, Dim][]} guards
 * @param {Sizes} sizes
 * @param {string} [given] the shapes of the inputs
 */
export function checkGuards(guards, sizes, given = '') {
  for (const [a, b] of guards) {
    if (size(a, sizes) !== size(b, sizes)) {
      if (b === 0) {
        const rule = 'a slice or window would leave its tensor';
        const text = formula(a);
        const here = given || JSON.stringify(sizes);
        const why = text.length > LONGEST ? '' : `, so ${text} = ${size(a, sizes)}`;
        throw new WebconvError('shape', `${rule}: ${here}${why}`);
      }
      const [left, right] = [a, b].map((dim) =>
        typeof dim === 'number' ? dim : `${formula(dim)} = ${size(dim, sizes)}`,
      );
      throw new WebconvError('shape', `${left} must equal ${right}`);
    }
  }
}

/**
 * @param {TensorType} input
 * @param {number[]} actual
 * @param {Sizes} sizes
 */
function bindShape({ name, shape }, actual, sizes) {
  if (actual.length !== shape.length || !actual.every((n) => Number.isInteger(n) && n >= 0)) {
    const rule = `'${name}' must have shape ${written(shape)}`;
    throw new WebconvError('shape', `${rule}, but it has ${written(actual)}`);
  }
  shape.forEach((dim, axis) => {
    if (typeof dim === 'string') sizes[dim] ??= actual[axis];
  });
}

/**
 * Flat data gives one size that is still open; `batch` is 1 if it is not the only one.
 * @param {TensorType} input
 * @param {number} length
 * @param {Sizes} sizes
 */
function bindLength({ name, shape }, length, sizes) {
  const isOpen = (/** @type {Dim} */ dim) => typeof dim === 'string' && sizes[dim] === undefined;
  let open = shape.filter(isOpen);
  if (open.length > 1 && open.includes('batch')) {
    sizes.batch = 1;
    open = open.filter((dim) => dim !== 'batch');
  }
  if (!open.length) return;
  const known = count(shape.filter((dim) => !isOpen(dim)).map((dim) => size(dim, sizes)));
  if (open.length > 1 || !known) {
    const call = `{ data, shape: ${written(shape.map((dim) => (isOpen(dim) ? dim : size(dim, sizes))))} }`;
    const rule = `flat data for '${name}' leaves ${open.join(' and ')} open`;
    throw new WebconvError('shape-ambiguous', `${rule}: give it as ${call}`);
  }
  if (length % known) {
    const rule = `'${name}' must have shape ${written(shape)}`;
    const values = `${length} elements are no multiple of ${known}`;
    throw new WebconvError('shape', `${rule}, but ${values}`);
  }
  sizes[/** @type {string} */ (open[0])] = length / known;
}

/**
 * @param {TensorType} input
 * @param {Given} tensor
 * @param {Sizes} sizes
 * @param {string} held the sizes that states have fixed
 */
function checkShape({ name, shape }, tensor, sizes, held) {
  const expected = shape.map((dim) => size(dim, sizes));
  const actual = tensor.shape ?? expected;
  if (String(actual) !== String(expected) || tensor.data.length !== count(expected)) {
    const rule = `'${name}' must have shape ${written(shape)}, here ${written(expected)}`;
    const shapes = String(actual) === String(expected) ? '' : `shape ${written(actual)} and `;
    const hint = held && `; states fix ${held} until states.reset()`;
    const found = `${shapes}${tensor.data.length} elements`;
    throw new WebconvError('shape', `${rule}, but it has ${found}${hint}`);
  }
}
