// A model without kernels, and a session that computes `out = 2 * x + state` in JavaScript.

import { WebconvError } from '../../runtime_js/src/errors.js';
import { openModel } from '../../runtime_js/src/runner.js';
import { States } from '../../runtime_js/src/states.js';
import { count, size } from '../../runtime_js/src/shape.js';

export const tensor = (name, dtype, shape, more = {}) => ({ name, dtype, shape, ...more });

export function fakeModel(changes = {}) {
  return {
    format: 1,
    name: 'fake',
    source: '',
    entries: [
      {
        name: 'main',
        symbols: ['batch', 'time'],
        inputs: [tensor('x', 'f32', ['batch', 'time'])],
        outputs: [tensor('y', 'f32', ['batch', 'time']), tensor('n', 'i64', [])],
        guards: [],
        reads: [],
        writes: [],
      },
    ],
    states: [],
    weights: [],
    backends: ['wasm'],
    ...changes,
  };
}

export class FakeSession {
  variant = 'fake';
  stats = { runs: 0 };
  log = [];
  states = [];

  constructor(model, changes = {}) {
    this.model = model;
    Object.assign(this, changes);
  }

  storage(dtype) {
    return dtype[0] === 'f' ? Float32Array : dtype === 'i64' ? BigInt64Array : Int32Array;
  }

  bind(entry, sizes) {
    this.log.push(`bind ${entry} ${JSON.stringify(sizes)}`);
    const type = this.model.entries[entry];
    return { type, counts: type.outputs.map((o) => count(o.shape.map((d) => size(d, sizes)))) };
  }

  async run({ type, counts }, inputs, fetch) {
    this.log.push(`run ${fetch}`);
    await new Promise((resolve) => setTimeout(resolve, 2));
    this.stats.runs++;
    const first = inputs[0] ?? [];
    const results = fetch.map((i) => {
      const out = new (this.storage(type.outputs[i].dtype))(counts[i]);
      return out.map((_, k) =>
        typeof out[k] === 'bigint' ? 7n : 2 * first[k] + (this.states[0]?.[k] ?? 0),
      );
    });
    for (const state of type.writes)
      this.states[state] = this.states[state].map((x, k) => x + first[k]);
    return results;
  }

  setState(state, shape, data) {
    this.log.push(`setState ${state} [${shape}] ${data ?? 'zeros'}`);
    this.states[state] = data ?? new Float32Array(count(shape));
  }

  getState(state) {
    return this.states[state].slice();
  }

  dispose() {
    this.log.push('dispose');
  }
}

/** A runner over a fake session, and the session. */
export async function open(model = fakeModel(), session = new FakeSession(model), options = {}) {
  const modules = [{ createSession: async () => session }, { section: {}, files: {} }];
  const runner = await openModel(
    model.states.length ? { ...model, States } : model,
    { wasm: async () => modules },
    options,
  );
  return { runner, session };
}

/** For assert.rejects and assert.throws. */
export const failure =
  (code, message = /./) =>
  (error) =>
    error instanceof WebconvError && error.code === code && message.test(error.message);
