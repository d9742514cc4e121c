// The WebAssembly session: one module, whose memory holds weights, states and the arena.

import { count, size } from './shape.js';
import { WebconvError } from './errors.js';

/** @import { DType, Session, SessionContext, Sizes, TypedArray } from './types.d.ts' */

const PAGE = 65536;

// Kernels have signed addresses.
const MOST_BYTES = 2 ** 31;

// A function that uses f32x4.relaxed_madd: valid only where relaxed SIMD is.
const PROBE = [
  0, 97, 115, 109, 1, 0, 0, 0, 1, 6, 1, 96, 1, 123, 1, 123, 3, 2, 1, 0, 10, 13, 1, 11, 0, 32, 0, 32,
  0, 32, 0, 253, 133, 2, 11,
];

/** @type {Record<string, import('./types.d.ts').TypedArrayConstructor>} */
const STORAGE = {
  f32: Float32Array,
  f16: Float32Array,
  f64: Float32Array,
  u32: Uint32Array,
  i64: BigInt64Array,
  u64: BigUint64Array,
};

/** @param {DType} dtype */
const storage = (dtype) => STORAGE[dtype] ?? Int32Array;

/**
 * @param {SessionContext} context
 * @returns {Promise<Session>}
 */
export async function createSession({ model, section, file, weights, options, progress }) {
  if (typeof WebAssembly !== 'object') {
    throw new WebconvError('no-backend', 'there is no WebAssembly here');
  }
  const relaxed = WebAssembly.validate(new Uint8Array(PROBE));
  const variant = options.variant ?? (relaxed ? 'relaxed' : 'simd');
  progress('compile', 0, 1);
  const { instance } = await WebAssembly.instantiate(await file(`${variant}.wasm`), {});
  progress('compile', 1, 1);
  const exports = /** @type {any} */ (instance.exports);
  const memory = /** @type {WebAssembly.Memory} */ (exports.memory);
  await weights.load((offset, bytes) => new Uint8Array(memory.buffer, offset, bytes));
  return new WasmSession(model, section, variant, exports, memory);
}

/** @implements {Session} */
class WasmSession {
  /**
   * @param {import('./types.d.ts').Model} model
   * @param {any} section
   * @param {string} variant
   * @param {any} exports
   * @param {WebAssembly.Memory} memory
   */
  constructor(model, section, variant, exports, memory) {
    this.model = model;
    this.section = section;
    this.variant = variant;
    this.exports = exports;
    this.memory = memory;
    this.stats = { runs: 0 };
    this.storage = storage;
    /** @type {any} the plan that the module's globals are set to */
    this.bound = null;
    /**
     * States that are not in the module's memory; written when an entry runs that has them.
     * @type {Map<number, { shape: number[], data: TypedArray | null }>}
     */
    this.pending = new Map();
    /** @type {number[]} the number of elements of each state that was in memory */
    this.counts = [];
    /** @type {Sizes} the last value of each symbol */
    this.sizes = Object.create(null);
    /** Where states lie turns on their sizes: the numbers of elements that there is room for. */
    this.room = '';
  }

  /**
   * @param {number} entry
   * @param {Sizes} sizes
   */
  bind(entry, sizes) {
    const { symbols, outputs, writes } = this.model.entries[entry];
    const counts = outputs.map(({ shape }) => count(shape.map((dim) => size(dim, sizes))));
    const states = writes.map((i) =>
      count(this.model.states[i].shape.map((dim) => size(dim, sizes))),
    );
    const plan = { entry, symbols, sizes: symbols.map((name) => sizes[name]), counts, states };
    this.use(plan);
    return plan;
  }

  /**
   * Sets the module's sizes and addresses, and grows its memory.
   * @param {any} plan
   */
  use(plan) {
    if (this.bound === plan) return;
    this.bound = null;
    this.makeRoom(plan);
    const end = this.exports[`bind_${plan.entry}`](...plan.sizes);
    const missing = end - this.memory.buffer.byteLength;
    try {
      if (end > MOST_BYTES) throw new RangeError();
      if (missing > 0) this.memory.grow(Math.ceil(missing / PAGE));
    } catch {
      throw new WebconvError('out-of-memory', `the model needs ${end} bytes of memory`);
    }
    this.bound = plan;
  }

  /**
   * @param {any} plan
   * @param {TypedArray[]} inputs
   * @param {number[]} fetch
   */
  run(plan, inputs, fetch) {
    this.use(plan);
    const places = this.section.entries[plan.entry];
    inputs.forEach((data, i) => this.view(places.inputs[i], data.length, data).set(data));
    const { outputs, reads, writes } = this.model.entries[plan.entry];
    this.writeStates(reads);
    this.exports[`run_${plan.entry}`]();
    const results = fetch.map((i) => {
      const type = storage(outputs[i].dtype);
      return /** @type {any} */ (this.view(places.outputs[i], plan.counts[i], type)).slice();
    });
    this.exports[`commit_${plan.entry}`]();
    writes.forEach((state, i) => {
      this.pending.delete(state);
      this.counts[state] = plan.states[i];
    });
    this.stats.runs++;
    return results;
  }

  /**
   * Takes states out of the memory if other sizes than theirs would move them, or lay something
   * over them.
   * @param {any} plan
   */
  makeRoom({ symbols, sizes }) {
    symbols.forEach((/** @type {string} */ name, /** @type {number} */ i) => {
      this.sizes[name] = sizes[i];
    });
    const room = this.model.states
      .map(({ shape }) => count(shape.map((dim) => size(dim, this.sizes))))
      .join();
    if (this.room === room) return;
    for (const [state, n] of this.counts.entries()) {
      if (n === undefined || this.pending.has(state)) continue;
      this.pending.set(state, { shape: [n], data: this.getState(state) });
    }
    this.room = room;
  }

  /** @param {number[]} states those that are to be in memory */
  writeStates(states) {
    for (const state of states) {
      const waiting = this.pending.get(state);
      if (!waiting) continue;
      const { shape, data } = waiting;
      this.pending.delete(state);
      this.counts[state] = count(shape);
      const type = storage(this.model.states[state].dtype);
      const view = /** @type {any} */ (this.view(`state${state}r`, this.counts[state], type));
      if (data) view.set(data);
      else view.fill(type === BigInt64Array || type === BigUint64Array ? 0n : 0);
    }
  }

  /**
   * A view of the memory: made anew each time, since growing detaches views.
   * @param {number | string} place an address, or the global that holds it
   * @param {number} length
   * @param {any} type an array, or a constructor, of the element type
   * @returns {any}
   */
  view(place, length, type) {
    const address = typeof place === 'number' ? place : this.exports[place].value;
    const View = typeof type === 'function' ? type : type.constructor;
    return new View(this.memory.buffer, address, length);
  }

  /**
   * @param {number} state
   * @param {number[]} shape
   * @param {TypedArray | null} data
   */
  setState(state, shape, data) {
    this.pending.set(state, { shape, data: data && data.slice() });
  }

  /** @param {number} state */
  getState(state) {
    const type = storage(this.model.states[state].dtype);
    const waiting = this.pending.get(state);
    if (waiting) return waiting.data?.slice() ?? new type(count(waiting.shape));
    return this.view(`state${state}r`, this.counts[state], type).slice();
  }

  dispose() {
    this.bound = this.exports = this.memory = /** @type {any} */ (null);
  }
}
