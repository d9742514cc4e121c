/**
 * The runtimes that are compared, behind one shape: open a model, run it, give it back.
 *
 * @typedef {object} Choice
 * @property {'webconv' | 'onnxruntime'} runtime
 * @property {'wasm' | 'webgpu' | 'webgl'} backend
 * @property {string} code the module to import
 * @property {string} model where the model lies; a webconv bundle knows that itself
 *
 * @typedef {object} Tensor
 * @property {string} name
 * @property {'float32' | 'int32' | 'int64'} dtype
 * @property {Float32Array | Int32Array | BigInt64Array} data
 * @property {number[]} shape
 *
 * @typedef {Record<string, { data: any }>} Outputs
 *
 * @typedef {object} Side
 * @property {() => Promise<Outputs>} run
 * @property {() => Promise<void>} dispose
 * @property {any} report what the runtime says of itself
 */

/** @type {Record<Choice['runtime'], (choice: Choice, feeds: Tensor[]) => Promise<Side>>} */
const RUNTIMES = { webconv: openWebconv, onnxruntime: openOnnxruntime };

/** @type {Record<Tensor['dtype'], (values: number[]) => Tensor['data']>} */
const ARRAYS = {
  float32: (values) => Float32Array.from(values),
  int32: (values) => Int32Array.from(values),
  int64: (values) => BigInt64Array.from(values, BigInt),
};

/**
 * @param {Choice} choice
 * @param {Tensor[]} feeds
 * @returns {Promise<Side>}
 */
export function open(choice, feeds) {
  return RUNTIMES[choice.runtime](choice, feeds);
}

/**
 * Fetches the inputs of a model.
 *
 * @param {string} url
 * @returns {Promise<Tensor[]>}
 */
export async function read(url) {
  /** @type {(Omit<Tensor, 'data'> & { data: number[] })[]} */
  const inputs = await (await fetch(url)).json();
  return inputs.map((input) => ({ ...input, data: ARRAYS[input.dtype](input.data) }));
}

/**
 * All outputs one after the other, in the order of their names, which both runtimes know.
 *
 * @param {Outputs} outputs
 * @returns {Float32Array}
 */
export function joined(outputs) {
  const names = Object.keys(outputs).sort();
  return Float32Array.from(names.flatMap((name) => Array.from(outputs[name].data, Number)));
}

/**
 * @param {Choice} choice
 * @param {Tensor[]} feeds
 * @returns {Promise<Side>}
 */
async function openWebconv({ backend, code }, feeds) {
  const { load } = await import(code);
  const runner = await load({ backendOrder: [backend], allowSoftware: true });
  // Inputs that were fixed when converting are not asked for.
  const asked = new Set(runner.inputs.map((/** @type {Tensor} */ input) => input.name));
  const feed = Object.fromEntries(
    feeds
      .filter(({ name }) => asked.has(name))
      .map(({ name, data, shape }) => [name, { data, shape }]),
  );
  return {
    run: () => runner.run(feed),
    dispose: () => runner.dispose(),
    report: runner.report,
  };
}

/**
 * @param {Choice} choice
 * @param {Tensor[]} feeds
 * @returns {Promise<Side>}
 */
async function openOnnxruntime({ backend, code, model }, feeds) {
  const ort = await import(code);
  ort.env.wasm.numThreads = 1;
  ort.env.logLevel = 'error';
  const session = await ort.InferenceSession.create(model, { executionProviders: [backend] });
  // Made once: that is the best this runtime can do, and it copies the data in on each run.
  const feed = Object.fromEntries(
    feeds.map(({ name, dtype, data, shape }) => [name, new ort.Tensor(dtype, data, shape)]),
  );
  return {
    run: () => session.run(feed),
    dispose: () => session.release(),
    report: { version: ort.env.versions.web },
  };
}
