// Tensors that outlive a run: their shapes are kept here, their values by the session.

import { WebconvError } from './errors.js';
import { bindSizes, count, size } from './shape.js';
import { fromStorage, parseData, toStorage } from './tensor.js';

/** @import { EntryType, InputData, Session, Sizes, StateType, Tensor, TypedArray } from './types.d.ts' */

export class States {
  /**
   * @param {StateType[]} types
   * @param {Session} session
   * @param {<T>(task: () => Promise<T>) => Promise<T>} enqueue
   */
  constructor(types, session, enqueue) {
    this.types = types;
    this.session = session;
    this.enqueue = enqueue;
    /** @type {(number[] | null)[]} what each holds; null until a run needs its initial value */
    this.shapes = types.map(() => null);
  }

  /** All states start again at their initial values. */
  reset() {
    return this.enqueue(async () => this.shapes.fill(null).length);
  }

  /**
   * Copies of all states; null stands for the initial value.
   * @returns {Promise<Record<string, Tensor | null>>}
   */
  save() {
    return this.enqueue(async () => {
      const saved = [];
      for (const [i, type] of this.types.entries()) {
        const shape = this.shapes[i];
        const data = shape && fromStorage(await this.session.getState(i), type).slice();
        saved.push([type.name, data && { data, shape, dtype: type.dtype }]);
      }
      return Object.fromEntries(saved);
    });
  }

  /**
   * Sets the states that `saved` names to copies of its values.
   * @param {Record<string, InputData | null>} saved
   */
  async restore(saved) {
    const values = Object.entries(saved).map(([name, value]) => {
      const position = this.types.findIndex((type) => type.name === name);
      if (position < 0) throw new WebconvError('input-name', `there is no state '${name}'`);
      return { position, ...(value && this.read(this.types[position], value)) };
    });
    return this.enqueue(async () => {
      for (const { position, shape, data } of values) {
        if (shape && data) await this.session.setState(position, shape, data);
        this.shapes[position] = shape ?? null;
      }
    });
  }

  /**
   * Reorders, repeats or drops the rows of a batch: row k becomes what row `rows[k]` is.
   * @param {ArrayLike<number>} rows
   */
  async select(rows) {
    if (typeof rows?.length !== 'number') {
      throw new WebconvError('dtype', `rows must be a list as [0, 0, 2], not ${rows}`);
    }
    const order = Array.from(rows);
    return this.enqueue(async () => {
      this.types.forEach((type, i) => checkRows(type, this.shapes[i], order));
      for (const [i, { batchAxis = 0 }] of this.types.entries()) {
        const shape = this.shapes[i];
        if (!shape || batchAxis === null) continue;
        const selected = shape.with(batchAxis, order.length);
        if (this.session.selectState) {
          await this.session.selectState(i, shape, batchAxis, order);
        } else {
          const data = gather(await this.session.getState(i), shape, batchAxis, order);
          await this.session.setState(i, selected, data);
        }
        this.shapes[i] = selected;
      }
    });
  }

  /**
   * A value for a state: a checked copy, and its shape.
   * @param {StateType} type
   * @param {InputData} value
   */
  read(type, value) {
    const given = parseData(type.name, value);
    // What a computed size should be only the inputs of a run tell.
    const shape = type.shape.map((dim, axis) =>
      typeof dim === 'function' ? (given.shape?.[axis] ?? dim) : dim,
    );
    const entry = { symbols: [], inputs: [{ ...type, shape }], outputs: [], guards: [] };
    const sizes = bindSizes(entry, [given], Object.create(null));
    const data = toStorage(given.data, type, this.session.storage(type.dtype));
    return { data, shape: shape.map((dim) => size(dim, sizes)) };
  }

  /**
   * The sizes that an entry finds in the states it reads.
   * @param {EntryType} entry
   * @returns {Sizes}
   */
  bind({ reads, inputs }) {
    const sizes = Object.create(null);
    for (const i of reads) {
      this.shapes[i]?.forEach((n, axis) => {
        const dim = this.types[i].shape[axis];
        if (typeof dim === 'string') sizes[dim] = n;
      });
    }
    const told = new Set([...Object.keys(sizes), ...inputs.flatMap(({ shape }) => shape)]);
    for (const i of reads) {
      const { name, shape } = this.types[i];
      const open = shape.filter((dim) => typeof dim === 'string' && !told.has(dim));
      if (!open.length) continue;
      const rule = `state '${name}' holds nothing yet, so no run can tell ${open.join(' and ')}`;
      throw new WebconvError('shape', `${rule}; run an entry that writes it first`);
    }
    return sizes;
  }

  /**
   * Does `task`, a run of an entry; if it fails, states are as they were.
   * @template T
   * @param {EntryType} entry
   * @param {Sizes} sizes
   * @param {() => Promise<T>} task
   * @returns {Promise<T>}
   */
  async carry(entry, sizes, task) {
    const before = [...this.shapes];
    try {
      for (const i of entry.reads) await this.prepare(i, sizes);
      const result = await task();
      for (const i of entry.writes) this.shapes[i] = stateShape(this.types[i], sizes);
      return result;
    } catch (error) {
      this.shapes = before;
      throw error;
    }
  }

  /**
   * Gives a state that holds nothing yet its initial value.
   * @param {number} i
   * @param {Sizes} sizes
   */
  async prepare(i, sizes) {
    const type = this.types[i];
    const shape = stateShape(type, sizes);
    const held = this.shapes[i];
    if (String(held) === String(shape)) return;
    if (held) {
      const rule = `state '${type.name}' holds [${held}], but these inputs need [${shape}]`;
      throw new WebconvError('shape', `${rule}; states.reset() lets it change`);
    }
    await this.session.setState(i, shape, this.initial(type, shape));
    this.shapes[i] = shape;
  }

  /**
   * @param {StateType} type
   * @param {number[]} shape
   */
  initial(type, shape) {
    if (!type.initial) return null;
    const data = broadcast(type.initial.data, type.initial.shape, shape);
    return toStorage(data, type, this.session.storage(type.dtype));
  }
}

/**
 * @param {StateType} type
 * @param {Sizes} sizes
 */
const stateShape = (type, sizes) => type.shape.map((dim) => size(dim, sizes));

/**
 * @param {StateType} type
 * @param {number[] | null} held
 * @param {number[]} rows
 */
function checkRows({ name, shape, batchAxis }, held, rows) {
  if (held && batchAxis === undefined) {
    throw new WebconvError('unsupported', `state '${name}' has no batch axis to select from`);
  }
  if (batchAxis === null) held = null;
  const batch = held?.[batchAxis ?? 0] ?? Infinity;
  if (!rows.every((row) => Number.isInteger(row) && row >= 0 && row < batch)) {
    const rule = `rows of state '${name}' must lie in [0, ${batch})`;
    throw new WebconvError('range', `${rule}, but they are [${rows}]`);
  }
  const fixed = held && shape[batchAxis ?? 0];
  if (typeof fixed === 'number' && rows.length !== fixed) {
    const rule = `state '${name}' always has ${fixed} rows`;
    throw new WebconvError('shape', `${rule}, but ${rows.length} are selected`);
  }
}

/**
 * @param {TypedArray} data
 * @param {number[]} shape
 * @param {number} axis
 * @param {number[]} rows
 */
function gather(data, shape, axis, rows) {
  const inner = count(shape.slice(axis + 1));
  const outer = count(shape.slice(0, axis));
  const out = new /** @type {any} */ (data.constructor)(outer * rows.length * inner);
  for (let block = 0; block < outer; block++) {
    rows.forEach((row, k) => {
      const from = (block * shape[axis] + row) * inner;
      out.set(data.subarray(from, from + inner), (block * rows.length + k) * inner);
    });
  }
  return out;
}

/**
 * @param {number[]} data
 * @param {number[]} from its shape
 * @param {number[]} shape
 */
function broadcast(data, from, shape) {
  return Array.from({ length: count(shape) }, (_, position) => {
    let index = 0;
    let stride = 1;
    for (let back = 1; back <= shape.length; back++) {
      const n = shape[shape.length - back];
      const own = from[from.length - back] ?? 1;
      if (own > 1) index += (position % n) * stride;
      stride *= own;
      position = Math.floor(position / n);
    }
    return data[index];
  });
}
