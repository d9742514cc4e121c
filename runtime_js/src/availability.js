// What this browser offers, before anything is loaded.

/** @import { BackendName } from './types.d.ts' */

/** @type {Record<BackendName, () => boolean>} */
const OFFERED = {
  wasm: () => 'WebAssembly' in globalThis,
  webgpu: () => Boolean(/** @type {any} */ (globalThis.navigator)?.gpu),
  webgl: () => 'WebGL2RenderingContext' in globalThis,
};

/**
 * Which backends of a bundle this browser has the interfaces of. Whether an adapter stands behind
 * them only `load` finds out; its report tells.
 * @param {BackendName[]} backends
 * @returns {{ status: Partial<Record<BackendName, boolean>>, defaultOrder: BackendName[] }}
 */
export function getAvailability(backends) {
  const status = Object.fromEntries(backends.map((name) => [name, OFFERED[name]()]));
  return { status, defaultOrder: backends.filter((name) => status[name]) };
}
