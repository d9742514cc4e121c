// One function of a model: its inputs and outputs, and runs of it.

import { WebconvError } from './errors.js';
import { bindSizes, size } from './shape.js';
import { fromStorage, parseData, toStorage } from './tensor.js';

/** @import { Dim, InputData, Plan, RunOptions, Session, Sizes, Tensor, TensorType, TypedArray } from './types.d.ts' */
/** @import { Runner } from './runner.js' */

/** @typedef {{ data: TypedArray, shape: number[] }} Held a tensor as the session has it */

/** For more sizes than this the plan that was not used for the longest time is given back. */
const MOST_PLANS = 64;

/** An input: `set` gives the data of the next `run()` without arguments. */
class Input {
  /** @type {{ data: TypedArray, shape?: number[] } | undefined} */
  value;

  /**
   * @param {TensorType} type
   * @param {Session} session
   */
  constructor(type, session) {
    this.name = type.name;
    this.dtype = type.dtype;
    this.shape = type.shape.map(shown);
    this.vocabulary = type.vocabulary;
    this.session = session;
  }

  /**
   * A checked copy of data in the session's element type.
   * @param {InputData} data
   * @param {number[]} [shape]
   */
  read(data, shape) {
    const given = parseData(this.name, data, shape);
    return {
      data: toStorage(given.data, this, this.session.storage(this.dtype)),
      shape: given.shape,
    };
  }

  /**
   * @param {InputData} data
   * @param {number[]} [shape]
   */
  set(data, shape) {
    this.value = this.read(data, shape);
  }
}

/** An output: `toActual` gives a copy of what the last run fetched. */
export class Output {
  /** @type {Tensor | undefined} */
  value;

  /** @param {TensorType} type */
  constructor(type) {
    this.name = type.name;
    this.dtype = type.dtype;
    this.shape = type.shape.map(shown);
  }

  /** @returns {TypedArray} */
  toActual() {
    if (!this.value) {
      throw new WebconvError('unsupported', `output '${this.name}' was not fetched by a run yet`);
    }
    return this.value.data.slice();
  }
}

/** @param {Dim} dim */
const shown = (dim) => (typeof dim === 'function' ? String(dim) : dim);

/** One of the functions of a model. */
export class Entry {
  /**
   * @param {Runner} runner
   * @param {number} position
   */
  constructor(runner, position) {
    this.runner = runner;
    this.position = position;
    this.type = runner.model.entries[position];
    this.name = this.type.name;
    this.inputs = this.type.inputs.map((type) => new Input(type, runner.session));
    this.outputs = this.type.outputs.map((type) => new Output(type));
    /** @type {Map<string, Plan>} */
    this.plans = new Map();
  }

  /**
   * Runs it on `inputs`, or on what was `set`; gives the fetched outputs by name.
   * @param {Record<string, InputData>} [inputs]
   * @param {RunOptions} [options]
   * @returns {Promise<Record<string, Tensor>>}
   */
  async run(inputs, { fetch, signal } = {}) {
    this.runner.check(signal);
    const values = this.snapshot(inputs);
    const wanted = fetch
      ? [fetch].flat().map((name) => this.findOutput(name))
      : this.outputs.map((_, i) => i);
    return this.runner.enqueue(async () => {
      const sizes = this.runner.states.bind(this.type);
      bindSizes(this.type, values, sizes);
      const given = values.map(({ data }, i) => ({
        data,
        shape: this.type.inputs[i].shape.map((dim) => size(dim, sizes)),
      }));
      const compute = () => this.compute(given, wanted, sizes);
      return this.collect(wanted, await this.runner.states.carry(this.type, sizes, compute));
    }, signal);
  }

  /**
   * The outputs at the positions `wanted`, as the session has them.
   * @param {Held[]} values the inputs in order
   * @param {number[]} wanted
   * @param {Sizes} sizes
   * @returns {Promise<Held[]>}
   */
  async compute(values, wanted, sizes) {
    const plan = await this.plan(sizes);
    const data = values.map((value) => value.data);
    const arrays = await this.runner.session.run(plan, data, wanted);
    return wanted.map((position, k) => ({
      data: arrays[k],
      shape: this.type.outputs[position].shape.map((dim) => size(dim, sizes)),
    }));
  }

  /**
   * The inputs in order, checked and copied.
   * @param {Record<string, InputData>} [inputs]
   */
  snapshot(inputs) {
    for (const name of Object.keys(inputs ?? {})) {
      if (!this.inputs.some((input) => input.name === name)) {
        throw unknownName('input', name, this.inputs);
      }
    }
    return this.inputs.map((input) => {
      if (inputs && Object.hasOwn(inputs, input.name)) return input.read(inputs[input.name]);
      if (!inputs && input.value) return input.value;
      throw new WebconvError('input-name', `input '${input.name}' is missing`);
    });
  }

  /** @param {string} name */
  findOutput(name) {
    const found = this.outputs.findIndex((output) => output.name === name);
    if (found < 0) throw unknownName('output', name, this.outputs);
    return found;
  }

  /** @param {Sizes} sizes */
  async plan(sizes) {
    const key = this.type.symbols.map((symbol) => sizes[symbol]).join();
    const { session } = this.runner;
    const plan = this.plans.get(key) ?? (await session.bind(this.position, sizes));
    this.plans.delete(key);
    this.plans.set(key, plan);
    if (this.plans.size > MOST_PLANS) {
      const [[oldest, unused]] = this.plans;
      this.plans.delete(oldest);
      session.release?.(unused);
    }
    return plan;
  }

  /**
   * @param {number[]} wanted
   * @param {Held[]} results
   */
  collect(wanted, results) {
    for (const output of this.outputs) output.value = undefined;
    return Object.fromEntries(
      wanted.map((position, k) => {
        const output = this.outputs[position];
        const { data, shape } = results[k];
        output.value = { data: fromStorage(data, output), shape, dtype: output.dtype };
        return [output.name, { ...output.value, data: output.value.data.slice() }];
      }),
    );
  }
}

/**
 * @param {string} kind
 * @param {string} name
 * @param {{ name: string }[]} known
 */
export function unknownName(kind, name, known) {
  const names = known.map((tensor) => `'${tensor.name}'`).join(', ');
  return new WebconvError('input-name', `there is no ${kind} '${name}'; there are ${names}`);
}
