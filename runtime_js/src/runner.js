// Loads a model on the first backend that starts, and runs it. Calls queue; inputs are copied.

import { Entry, unknownName } from './entry.js';
import { WebconvError } from './errors.js';
import { canDigest, fetchFile, openWeights } from './files.js';

/** @import { BackendName, BackendModules, InputData, LoadOptions, Model, Report, RunOptions, Session, Weights } from './types.d.ts' */

/** @typedef {Partial<Record<BackendName, () => Promise<BackendModules>>>} Backends */

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
  if (!open) {
    throw new WebconvError('no-backend', `the bundle was made without it: ${model.backends}`);
  }
  const [{ createSession }, { files, section }] = await open();
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

/** Stands for the `States` of a model that has none, and so does not fetch them. */
class Stateless {
  bind = () => Object.create(null);
  save = async () => ({});
  /** @param {unknown} entry @param {unknown} sizes @param {() => unknown} task */
  carry = (entry, sizes, task) => task();
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
    /** All entries by position, those among them that pages do not see. */
    this.stages = model.entries.map(({ schedule }, position) =>
      schedule ? new model.ScheduledEntry(this, position) : new Entry(this, position),
    );
    const visible = this.stages.filter(({ type }) => !type.hidden);
    this.entries = model.ListEntry ? visible.map((entry) => new model.ListEntry(entry)) : visible;
    this.entries.sort((a, b) => Number(b.name === 'main') - Number(a.name === 'main'));
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
