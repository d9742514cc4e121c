/**
 * Counts calls to the GPU by wrapping the methods of the browser's prototypes.
 *
 * Milliseconds on a software adapter say little about a GPU; these counts hold on every machine.
 */

/** Which calls add to which count. @type {[string, string, string][]} */
const CALLS = [
  ['GPUComputePassEncoder', 'dispatchWorkgroups', 'dispatches'],
  ['GPUComputePassEncoder', 'dispatchWorkgroupsIndirect', 'dispatches'],
  ['GPUCommandEncoder', 'beginComputePass', 'passes'],
  ['GPUCommandEncoder', 'copyBufferToBuffer', 'copies'],
  ['GPUQueue', 'submit', 'submits'],
  ['GPUQueue', 'writeBuffer', 'writes'],
  ['GPUBuffer', 'mapAsync', 'maps'],
  ['GPUDevice', 'createComputePipeline', 'pipelines'],
  ['GPUDevice', 'createComputePipelineAsync', 'pipelines'],
  ['GPUDevice', 'createBuffer', 'buffers'],
  ['GPUDevice', 'createBindGroup', 'bindings'],
  ['WebGL2RenderingContext', 'drawArrays', 'draws'],
  ['WebGL2RenderingContext', 'drawArraysInstanced', 'draws'],
  ['WebGL2RenderingContext', 'drawElements', 'draws'],
  ['WebGL2RenderingContext', 'drawElementsInstanced', 'draws'],
  ['WebGL2RenderingContext', 'linkProgram', 'programs'],
  ['WebGL2RenderingContext', 'copyTexSubImage2D', 'copies'],
  ['WebGL2RenderingContext', 'texSubImage2D', 'writes'],
  ['WebGL2RenderingContext', 'readPixels', 'reads'],
];

/**
 * Starts counting.
 *
 * @returns {{ take: () => Record<string, number>, stop: () => void }} `take` gives the counts since
 *   the last `take`, those above zero; `stop` puts the browser's own methods back
 */
export function count() {
  /** @type {Record<string, number>} */
  let counts = {};
  const undo = CALLS.map(([owner, method, key]) =>
    wrap(/** @type {any} */ (globalThis)[owner]?.prototype, method, () => {
      counts[key] = (counts[key] ?? 0) + 1;
    }),
  );
  const take = () => {
    const taken = counts;
    counts = {};
    return taken;
  };
  return { take, stop: () => undo.forEach((restore) => restore()) };
}

/**
 * @param {any} prototype
 * @param {string} method
 * @param {() => void} note
 * @returns {() => void}
 */
function wrap(prototype, method, note) {
  const original = prototype?.[method];
  if (!original) return () => {};
  prototype[method] = function (/** @type {any[]} */ ...args) {
    note();
    return original.apply(this, args);
  };
  return () => {
    prototype[method] = original;
  };
}
