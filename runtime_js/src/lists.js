// Lists of sequences: pages give and get arrays of them, sessions have them one after another.

import { Output, unknownName } from './entry.js';
import { WebconvError } from './errors.js';
import { count } from './shape.js';
import { parseData, toStorage } from './tensor.js';

/** @import { Entry } from './entry.js' */
/** @import { InputData, ListData, RunOptions, Tensor, TensorType, TypedArray } from './types.d.ts' */

/** The shape of a sequence of a list. @param {TensorType} type @returns {(number | string)[]} */
const shapeOf = ({ shape }) => ['length', .../** @type {number[]} */ (shape.slice(1))];

/** An input that is a list: its sequences, and their lengths, are inputs of the entry below. */
class ListInput {
  list = true;

  /** The lengths of what was `set`. @type {number[] | undefined} */
  held;

  /**
   * @param {Entry} entry
   * @param {TensorType} type
   */
  constructor(entry, type) {
    this.entry = entry;
    this.type = type;
    this.name = type.name;
    this.dtype = type.dtype;
    this.shape = shapeOf(type);
    this.vocabulary = type.vocabulary;
    this.least = type.least ?? 1;
  }

  /** The input below that has the lengths. */
  get lengths() {
    return this.entry.inputs[/** @type {number} */ (this.type.lengths)];
  }

  storage() {
    return this.entry.runner.session.storage(this.dtype);
  }

  /** @param {ListData} list */
  set(list) {
    const { lengths, ...packed } = this.pack(list);
    this.held = lengths;
    this.lengths.set(lengths);
    this.entry.inputs[this.entry.type.inputs.indexOf(this.type)].value = packed;
  }

  /**
   * A checked copy of all sequences, one after another, and their lengths.
   * @param {ListData} list
   */
  pack(list) {
    if (!Array.isArray(list) || !list.length) {
      const rule = `'${this.name}' must be an array of sequences [${this.shape.join(', ')}]`;
      const found = Array.isArray(list) ? 'it is empty' : `it is ${kindOf(list)}`;
      const packed = `packed ones come with '${this.lengths.name}'`;
      throw new WebconvError('shape', `${rule}, one or more, but ${found}; ${packed}`);
    }
    const parts = Array.from(list, (sequence, k) => this.sequence(sequence, k));
    const row = /** @type {number[]} */ (this.shape.slice(1));
    const lengths = parts.map((part) => part.length / count(row));
    const total = lengths.reduce((sum, n) => sum + n, 0);
    const data = /** @type {any} */ (new (this.storage())(total * count(row)));
    let start = 0;
    for (const part of parts) {
      data.set(part, start);
      start += part.length;
    }
    return { data, shape: [total, ...row], lengths };
  }

  /**
   * @param {InputData} sequence
   * @param {number} position
   */
  sequence(sequence, position) {
    const name = `${this.name}[${position}]`;
    const row = this.shape.slice(1);
    const { data, shape } = parseData(name, sequence);
    const width = count(/** @type {number[]} */ (row));
    const [length, ...rest] = shape ?? [data.length / width, ...row];
    const fits = String(rest) === String(row) && data.length === Number(length) * width;
    if (!fits || !Number.isInteger(length) || Number(length) < this.least) {
      const rows = this.least > 1 ? `${this.least} rows` : 'a row';
      const rule = `'${name}' must have shape [${this.shape.join(', ')}] with ${rows} or more`;
      const found = `${shape ? `shape [${shape.join(', ')}] and ` : ''}${data.length} elements`;
      throw new WebconvError('shape', `${rule}, but it has ${found}`);
    }
    const { dtype, vocabulary } = this;
    return toStorage(data, { name, dtype, vocabulary }, this.storage());
  }

  /**
   * Refuses lengths that are not those of what is packed.
   * @param {InputData} values
   * @param {InputData} given
   */
  checkPacked(values, given) {
    const { data, shape } = parseData(this.name, values);
    const rows = shape?.[0] ?? data.length / count(/** @type {number[]} */ (this.shape.slice(1)));
    const lengths = Array.from(this.lengths.read(given).data, Number);
    if (lengths.some((n) => n < this.least) || lengths.reduce((sum, n) => sum + n, 0) !== rows) {
      const rule = `'${this.lengths.name}' must be ${this.least} or more and add up to ${rows} rows`;
      throw new WebconvError('shape', `${rule} of '${this.name}', but they are [${lengths}]`);
    }
  }
}

/** An output that is a list. */
class ListOutput extends Output {
  list = true;

  /** @param {TensorType} type */
  constructor(type) {
    super(type);
    this.shape = shapeOf(type);
  }

  /** @returns {any} copies of the sequences' data */
  toActual() {
    return /** @type {any} */ (super.toActual()).map((/** @type {TypedArray} */ x) => x.slice());
  }
}

/** @param {unknown} x */
const kindOf = (x) => (x === null ? 'null' : (Object(x).constructor?.name ?? typeof x));

/** An entry as pages see it: lists are one input or output each. */
export class ListEntry {
  /** @param {Entry} entry */
  constructor(entry) {
    this.entry = entry;
    this.name = entry.name;
    this.type = entry.type;
    const { inputs, outputs } = entry.type;
    const lengths = inputs.map((type) => type.lengths);
    /** @type {(ListInput | Entry['inputs'][number])[]} */
    this.inputs = entry.inputs
      .map((input, i) => (lengths[i] === undefined ? input : new ListInput(entry, inputs[i])))
      .filter((_, i) => !lengths.includes(i));
    this.lists = this.inputs.filter((input) => input instanceof ListInput);
    this.outputs = entry.outputs.map((output, i) =>
      outputs[i].lengths === undefined ? output : new ListOutput(outputs[i]),
    );
  }

  /**
   * @param {Record<string, InputData | ListData>} [inputs]
   * @param {RunOptions} [options]
   * @returns {Promise<Record<string, Tensor | Tensor[]>>}
   */
  async run(inputs, options) {
    if (!inputs) compare(new Map(this.lists.map((list) => [list, list.held])));
    const packed = inputs && this.pack(inputs);
    const lengths = this.type.outputs.map((type) => this.lengthsOf(type, packed));
    const results = await this.entry.run(packed, options);
    const found = Object.entries(results).map(([name, tensor]) => {
      const position = this.entry.findOutput(name);
      return [name, lengths[position] ? split(tensor, lengths[position]) : tensor];
    });
    this.keep(new Map(/** @type {any} */ (found)));
    return Object.fromEntries(found);
  }

  /**
   * The inputs of the entry below; a list may come packed, with its lengths.
   * @param {Record<string, any>} inputs
   */
  pack(inputs) {
    const packed = new Map(Object.entries(inputs));
    for (const name of packed.keys()) {
      if (
        ![...this.inputs, ...this.lists.map((list) => list.lengths)].some((x) => x.name === name)
      ) {
        throw unknownName('input', name, this.inputs);
      }
    }
    /** @type {Map<ListInput, number[]>} */
    const made = new Map();
    for (const list of this.lists) {
      if (!packed.has(list.name)) continue;
      if (Object.hasOwn(inputs, list.lengths.name)) {
        list.checkPacked(packed.get(list.name), packed.get(list.lengths.name));
        continue;
      }
      const { data, shape, lengths } = list.pack(packed.get(list.name));
      packed.set(list.name, { data, shape }).set(list.lengths.name, lengths);
      made.set(list, lengths);
    }
    compare(made);
    return Object.fromEntries(packed);
  }

  /**
   * The lengths by which an output is cut, if it is a list.
   * @param {TensorType} type
   * @param {Record<string, any>} [packed]
   */
  lengthsOf({ lengths, more = 0 }, packed) {
    if (lengths === undefined) return undefined;
    const { name, value } = this.entry.inputs[lengths];
    const given = packed ? packed[name] : value;
    return given && Array.from(parseData(name, given).data, (n) => Number(n) + more);
  }

  /**
   * Keeps copies of the lists of a run for `toActual`.
   * @param {Map<string, Tensor[]>} results
   */
  keep(results) {
    for (const output of this.outputs) {
      if (!(output instanceof ListOutput)) continue;
      const data = results.get(output.name)?.map((tensor) => tensor.data.slice());
      output.value = /** @type {any} */ (data && { data });
    }
  }
}

/**
 * Refuses lists with one input of lengths whose sequences are not as long.
 * @param {Map<ListInput, number[] | undefined>} given
 */
function compare(given) {
  /** @type {Map<ListInput['lengths'], { name: string, lengths: number[] }>} */
  const known = new Map();
  for (const [list, lengths] of given) {
    if (!lengths) continue;
    const first = known.get(list.lengths) ?? { name: list.name, lengths };
    known.set(list.lengths, first);
    if (String(first.lengths) !== String(lengths)) {
      const rule = `the sequences of '${list.name}' must be as long as those of '${first.name}'`;
      const found = `[${first.lengths}], but they have [${lengths}] rows`;
      throw new WebconvError('shape', `${rule}, ${found}`);
    }
  }
}

/**
 * @param {Tensor} tensor
 * @param {number[]} lengths
 * @returns {Tensor[]}
 */
function split({ data, shape: [, ...row], dtype }, lengths) {
  const width = count(row);
  let start = 0;
  return lengths.map((length) => {
    const end = start + length * width;
    const part = { data: data.slice(start, end), shape: [length, ...row], dtype };
    start = end;
    return part;
  });
}
