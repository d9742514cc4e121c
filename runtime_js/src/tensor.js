// What a page hands over and gets back: checks of values, nested arrays, and element types.

import { WebconvError } from './errors.js';

/** @import { DType, InputData, TensorType, TypedArray, TypedArrayConstructor } from './types.d.ts' */

/** @typedef {Pick<TensorType, 'name' | 'dtype' | 'vocabulary'>} Element */

/**
 * By dtype: the array that a page gets, and the least and greatest value of integers.
 * @type {Record<DType, [TypedArrayConstructor, number?, number?]>}
 */
const TYPES = {
  f32: [Float32Array],
  f16: [Float32Array],
  f64: [Float32Array],
  i8: [Int8Array, -128, 127],
  u8: [Uint8Array, 0, 255],
  i16: [Int16Array, -32768, 32767],
  u16: [Uint16Array, 0, 65535],
  i32: [Int32Array, -(2 ** 31), 2 ** 31 - 1],
  i64: [Int32Array, -(2 ** 31), 2 ** 31 - 1],
  u32: [Uint32Array, 0, 2 ** 32 - 1],
  u64: [Uint32Array, 0, 2 ** 32 - 1],
  bool: [Uint8Array, 0, 1],
};

/** @param {any} x */
const isArray = (x) => Array.isArray(x) || (ArrayBuffer.isView(x) && !(x instanceof DataView));

/** @param {any} array */
const isBig = (array) => array instanceof BigInt64Array || array instanceof BigUint64Array;

/**
 * Takes apart what `set` and `run` accept: flat data, and its shape if it is known.
 * @param {string} name
 * @param {any} given an `InputData`
 * @param {number[]} [shape]
 * @returns {{ data: ArrayLike<any>, shape?: number[] }}
 */
export function parseData(name, given, shape) {
  if (!isArray(given) && given !== null && typeof given === 'object' && 'data' in given) {
    shape ??= given.shape;
    given = given.data;
  }
  if (typeof given === 'number' || typeof given === 'bigint' || typeof given === 'boolean') {
    return { data: [given], shape: shape ?? [] };
  }
  if (!isArray(given)) {
    throw new WebconvError('dtype', `'${name}' must be numbers, but it is ${typeof given}`);
  }
  if (!isArray(given[0])) return { data: given, shape: shape && Array.from(shape) };
  const nested = [];
  for (let level = given; isArray(level); level = level[0]) nested.push(level.length);
  return { data: flatten(name, given, nested), shape: shape ? Array.from(shape) : nested };
}

/**
 * @param {string} name
 * @param {any} nested
 * @param {number[]} shape
 */
function flatten(name, nested, shape) {
  const flat = /** @type {any[]} */ ([]);
  const walk = (/** @type {any} */ part, /** @type {number} */ axis) => {
    if (axis === shape.length) return flat.push(part);
    if (!isArray(part) || part.length !== shape[axis]) {
      const rule = `'${name}': rows of nested data must be equally long`;
      throw new WebconvError('shape', `${rule}, here ${shape[axis]}, but one is ${part?.length}`);
    }
    for (const inner of part) walk(inner, axis + 1);
  };
  walk(nested, 0);
  return flat;
}

/**
 * A copy of `data` in the session's element type; every value is checked.
 * @param {ArrayLike<any>} data
 * @param {Element} element
 * @param {TypedArrayConstructor} Storage
 * @returns {TypedArray}
 */
export function toStorage(data, element, Storage) {
  const [, low, high = 0] = TYPES[element.dtype];
  if (low === undefined && ArrayBuffer.isView(data) && !isBig(data)) {
    return new Storage(/** @type {any} */ (data));
  }
  const out = new Storage(data.length);
  const big = isBig(out);
  for (let i = 0; i < data.length; i++) {
    let value = data[i];
    if (typeof value === 'bigint' || typeof value === 'boolean') value = Number(value);
    if (typeof value !== 'number' || (low !== undefined && !Number.isInteger(value))) {
      const kind = low === undefined ? 'numbers' : 'integers';
      throw refuse('dtype', element, `values must be ${kind}`, i, value);
    }
    if (low !== undefined && (value < low || value > high)) {
      throw refuse('range', element, `values must lie in [${low}, ${high}]`, i, value);
    }
    if (element.vocabulary !== undefined && (value < 0 || value >= element.vocabulary)) {
      throw refuse('vocabulary', element, `ids must lie in [0, ${element.vocabulary})`, i, value);
    }
    out[i] = big ? BigInt(value) : value;
  }
  return out;
}

/**
 * @param {import('./types.d.ts').ErrorCode} code
 * @param {Element} element
 * @param {string} rule
 * @param {number} index
 * @param {unknown} value
 */
function refuse(code, { name, dtype }, rule, index, value) {
  const place = `number ${index} is ${typeof value === 'string' ? `'${value}'` : value}`;
  return new WebconvError(code, `'${name}' (${dtype}): ${rule}, but ${place}`);
}

/**
 * What a page gets of an array in the session's element type; may be the same array.
 * @param {TypedArray} array
 * @param {Element} element
 * @returns {TypedArray}
 */
export function fromStorage(array, { name, dtype }) {
  const [Public, low = 0, high = 0] = TYPES[dtype];
  if (array instanceof Public) return array;
  if (!isBig(array)) return new Public(/** @type {any} */ (array));
  return /** @type {any} */ (Public).from(array, (/** @type {bigint} */ value) => {
    if (value < low || value > high) {
      const rule = `'${name}' (${dtype}): values are given as 32 bits`;
      throw new WebconvError('range', `${rule}, but one is ${value}`);
    }
    return Number(value);
  });
}
