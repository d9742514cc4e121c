/**
 * The runtimes that are compared, behind one shape: open a model, run it, give it back.
 *
 * @typedef {object} Choice
 * @property {'webconv' | 'onnxruntime'} runtime
 * @property {'wasm' | 'webgpu' | 'webgl'} backend
 * @property {string} code the module to import
 * @property {string} model where the model lies; a webconv bundle knows that itself
 *
 * @typedef {object} Input
 * @property {number[]} ids
 * @property {number | null} oneHot width of the rows to make of the ids, null to pass the ids
 *
 * @typedef {object} Tensor
 * @property {string} name
 * @property {Float32Array | Int32Array} data
 * @property {number[]} shape
 *
 * @typedef {object} Side
 * @property {() => Promise<Float32Array>} run
 * @property {() => Promise<void>} dispose
 * @property {any} report what the runtime says of itself
 */

/** @type {Record<Choice['runtime'], (choice: Choice, input: Tensor) => Promise<Side>>} */
const RUNTIMES = { webconv: openWebconv, onnxruntime: openOnnxruntime };

/**
 * @param {Choice} choice
 * @param {Input} input
 * @returns {Promise<Side>}
 */
export function open(choice, input) {
  return RUNTIMES[choice.runtime](choice, tensor(input));
}

/**
 * @param {Input} input
 * @returns {Tensor}
 */
function tensor({ ids, oneHot }) {
  const name = 'x';
  if (oneHot === null) return { name, data: Int32Array.from(ids), shape: [1, ids.length] };
  const data = new Float32Array(ids.length * oneHot);
  ids.forEach((id, row) => {
    data[row * oneHot + id] = 1;
  });
  return { name, data, shape: [1, ids.length, oneHot] };
}

/**
 * @param {Choice} choice
 * @param {Tensor} input
 * @returns {Promise<Side>}
 */
async function openWebconv({ backend, code }, { name, data, shape }) {
  const { load } = await import(code);
  const runner = await load({ backendOrder: [backend], allowSoftware: true });
  const feed = { [runner.inputs[0].name ?? name]: { data, shape } };
  return {
    run: async () => /** @type {any} */ (Object.values(await runner.run(feed))[0]).data,
    dispose: () => runner.dispose(),
    report: runner.report,
  };
}

/**
 * @param {Choice} choice
 * @param {Tensor} input
 * @returns {Promise<Side>}
 */
async function openOnnxruntime({ backend, code, model }, { name, data, shape }) {
  const ort = await import(code);
  ort.env.wasm.numThreads = 1;
  ort.env.logLevel = 'error';
  const session = await ort.InferenceSession.create(model, { executionProviders: [backend] });
  const dtype = data instanceof Int32Array ? 'int32' : 'float32';
  // Made once: that is the best this runtime can do, and it copies the data in on each run.
  const feed = { [name]: new ort.Tensor(dtype, data, shape) };
  return {
    run: async () => (await session.run(feed)).y.data,
    dispose: () => session.release(),
    report: { version: ort.env.versions.web },
  };
}
