// Loads a model on the first backend that starts, and runs it. Calls queue; inputs are copied.

import { WebconvError } from './errors.js';
import { canDigest, fetchFile, openWeights } from './files.js';
import { bindSizes, size } from './shape.js';
import { fromStorage, parseData, toStorage } from './tensor.js';

/** @import { Backend, BackendName, Dim, EntryType, InputData, LoadOptions, Model, Plan, Report, RunOptions, Session, Sizes, Tensor, TensorType, TypedArray, Weights } from './types.d.ts' */

/** @typedef {Partial<Record<BackendName, () => Promise<{ backend: Backend }>>>} Backends */

/** For more sizes than this the plan that was not used for the longest time is given back. */
const MOST_PLANS = 64;

/** Failures that no other backend would mend. */
const FINAL = ['aborted', 'integrity', 'network'];

/**
 * @param {Model} model
 * @param {Backends} backends
 * @param {LoadOptions} [options]
 * @returns {Promise<Runner>}
 */
export async function openModel(model, backends, options = {}) {
  const start = performance.now();
  const weights = openWeights(model, options);
  /** @type {Report['tried']} */
  const tried = [];
  const order = /** @type {BackendName[]} */ ([options.backendOrder ?? model.backends].flat());
  for (const backend of order) {
    try {
      const session = await openSession(model, backends[backend], weights, options);
      /** @type {Report} */
      const report = {
        backend,
        variant: session.variant,
        adapter: session.adapter ?? null,
        threads: 1,
        integrity: canDigest() ? 'sha256' : 'length',
        tried,
        loadMs: performance.now() - start,
      };
      return new Runner(model, session, report);
    } catch (cause) {
      const error = toWebconvError(cause, options.signal);
      if (FINAL.includes(error.code)) throw error;
      tried.push({ backend, code: error.code, reason: error.message });
    }
  }
  const reasons = tried.map(({ backend, reason }) => `${backend}: ${reason}`).join('; ');
  throw new WebconvError('no-backend', `no backend could start: ${reasons}`, { cause: tried });
}

/**
 * @param {Model} model
 * @param {Backends[BackendName]} open
 * @param {Weights} weights
 * @param {LoadOptions} options
 */
async function openSession(model, open, weights, options) {
  options.signal?.throwIfAborted();
  if (!open) throw new WebconvError('no-backend', 'the bundle was made without it');
  const { createSession, section, files } = (await open()).backend;
  const session = await createSession({
    model,
    section,
    file: (suffix) => fetchFile(files[suffix], options),
    weights,
    options,
    progress: (phase, loaded, total) => options.onProgress?.({ phase, loaded, total }),
  });
  if (options.signal?.aborted) session.dispose();
  options.signal?.throwIfAborted();
  return session;
}

/**
 * @param {unknown} cause
 * @param {AbortSignal} [signal]
 */
function toWebconvError(cause, signal) {
  if (signal?.aborted) return new WebconvError('aborted', 'loading was aborted', { cause });
  if (cause instanceof WebconvError) return cause;
  return new WebconvError('no-backend', String(cause), { cause });
}

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
class Output {
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
      ? fetch.map((name) => this.findOutput(name))
      : this.outputs.map((_, i) => i);
    return this.runner.enqueue(async () => {
      const sizes = this.runner.states.bind(this.type);
      bindSizes(this.type, values, sizes);
      await this.runner.states.prepare(this.type, sizes);
      const plan = await this.plan(sizes);
      const data = values.map((value) => value.data);
      const arrays = await this.runner.session.run(plan, data, wanted);
      return this.collect(wanted, arrays, sizes);
    }, signal);
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
   * @param {TypedArray[]} arrays
   * @param {Sizes} sizes
   */
  collect(wanted, arrays, sizes) {
    for (const output of this.outputs) output.value = undefined;
    return Object.fromEntries(
      wanted.map((position, k) => {
        const output = this.outputs[position];
        const shape = this.type.outputs[position].shape.map((dim) => size(dim, sizes));
        output.value = { data: fromStorage(arrays[k], output), shape, dtype: output.dtype };
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
function unknownName(kind, name, known) {
  const names = known.map((tensor) => `'${tensor.name}'`).join(', ');
  return new WebconvError('input-name', `there is no ${kind} '${name}'; there are ${names}`);
}

/** Stands for the `States` of a model that has none, and so does not fetch them. */
class Stateless {
  bind = () => Object.create(null);
  save = async () => ({});
  prepare() {}
  async reset() {}
  async restore() {}
  async select() {}
}

/** A loaded model: `inputs`, `outputs` and `run` are those of its first entry. */
export class Runner {
  /**
   * @param {Model} model
   * @param {Session} session
   * @param {Report} report
   */
  constructor(model, session, report) {
    this.model = model;
    this.session = session;
    this.report = report;
    this.disposed = false;
    /** @type {Promise<unknown>} */
    this.last = Promise.resolve();
    /** @type {import('./states.js').States} */
    this.states = model.States
      ? new model.States(model.states, session, this.enqueue.bind(this))
      : /** @type {any} */ (new Stateless());
    this.entries = model.entries.map((_, position) => new Entry(this, position));
    const [main] = this.entries;
    this.inputs = main.inputs;
    this.outputs = main.outputs;
  }

  /** Counts of what the backend did since it started. */
  get stats() {
    return { ...this.session.stats };
  }

  /** @param {string} name */
  entry(name) {
    const found = this.entries.find((entry) => entry.name === name);
    if (!found) throw unknownName('entry', name, this.entries);
    return found;
  }

  /**
   * @param {Record<string, InputData>} [inputs]
   * @param {RunOptions} [options]
   */
  run(inputs, options) {
    return this.entries[0].run(inputs, options);
  }

  /** Gives back all memory, after the call that is under way; again is fine. */
  async dispose() {
    if (this.disposed) return;
    this.disposed = true;
    await this.last;
    this.session.dispose();
  }

  getInputViews() {
    throw new WebconvError('unsupported', 'getInputViews() is now runner.inputs: inputs[0].set(x)');
  }

  getOutputViews() {
    const now = 'runner.outputs: outputs[0].toActual()';
    throw new WebconvError('unsupported', `getOutputViews() is now ${now}`);
  }

  /**
   * Does `task` after all that was asked for before; one that fails harms no other.
   * @template T
   * @param {() => Promise<T>} task
   * @param {AbortSignal} [signal]
   * @returns {Promise<T>}
   */
  enqueue(task, signal) {
    const result = this.last.then(() => {
      this.check(signal);
      return task();
    });
    this.last = result.catch(() => {});
    return result;
  }

  /** @param {AbortSignal} [signal] */
  check(signal) {
    if (this.disposed) throw new WebconvError('disposed', 'the runner was disposed of');
    if (signal?.aborted) throw new WebconvError('aborted', 'the run was aborted');
  }
}

// `await using runner = await load()`, where the language has it.
if (Symbol.asyncDispose) {
  Object.assign(Runner.prototype, { [Symbol.asyncDispose]: Runner.prototype.dispose });
}
