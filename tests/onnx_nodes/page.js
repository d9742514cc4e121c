// Loads and runs many bundles in one page, by the runner and the sessions that users get.

import { openModel } from './runtime/runner.js';
import { shareContext, shareDevice } from './sharing.js';

/**
 * The outputs of every run of every model, or why there are none.
 * @param {string} backend
 * @param {string} url the module with the models
 * @param {Record<string, Uint8Array>} files what they fetch
 * @param {Record<string, any>[][]} feeds the inputs of the runs of each model
 */
export async function sweep(backend, url, files, feeds) {
  const { models } = await import(url);
  const session = await import(`./runtime/session-${backend}.js`);
  const device = backend === 'webgpu' ? await shareDevice() : undefined;
  const context = backend === 'webgl' ? shareContext() : undefined;
  const options = {
    allowSoftware: true,
    backendOrder: backend,
    device,
    resolve: (file) => file,
    fetch: async (file) => new Response(files[file]),
  };
  const open = ({ model, section, files }) =>
    openModel(model, { [backend]: async () => [session, { files, section }] }, options);
  // All at once, so that kernels are compiled in parallel.
  const runners = await Promise.all(models.map((model) => attempt(() => open(model))));
  const results = [];
  for (const [k, { value: runner, error }] of runners.entries()) {
    if (error) results.push({ error });
    else results.push(await attempt(() => runAll(runner, feeds[k])));
    await runner?.dispose();
  }
  context?.clear();
  return results;
}

async function runAll(runner, feeds) {
  const outputs = [];
  for (const inputs of feeds) {
    const found = Object.entries(await runner.run(inputs));
    outputs.push(found.map(([name, { dtype, shape, data }]) => [name, dtype, shape, data]));
  }
  return outputs;
}

async function attempt(task) {
  try {
    return { value: await task() };
  } catch (error) {
    return { error: `${error.code ?? error.name}: ${error.message}` };
  }
}
