/**
 * What the example pages share: options from the address bar, and saying what ran.
 *
 * `?backend=wasm|webgpu|webgl` takes one backend only, `?software=1` allows a GPU in software.
 */

export const query = new URLSearchParams(location.search);

/** @returns {{ backendOrder?: string[], allowSoftware: boolean }} options for `load()` */
export function loadOptions() {
  const backend = query.get('backend');
  return {
    ...(backend && { backendOrder: [backend] }),
    allowSoftware: query.get('software') === '1',
  };
}

/**
 * Writes the page's state where a style sheet, and a test, can see it.
 * @param {'ready' | 'running' | 'done' | 'error'} state
 * @param {string} [message] for people; without one the last stays
 */
export function setState(state, message) {
  document.body.dataset.state = state;
  if (message !== undefined) element('status').textContent = message;
}

/** @param {unknown} error */
export function showError(error) {
  console.error(error);
  setState('error', error instanceof Error ? error.message : String(error));
}

/**
 * @param {{ report: { backend: string, variant?: string | null } }} runner
 * @param {number} milliseconds a run took
 */
export function describeRun({ report }, milliseconds) {
  const backend = report.variant ? `${report.backend} (${report.variant})` : report.backend;
  return `${backend}, ${milliseconds.toFixed(milliseconds < 10 ? 2 : 0)} ms a run`;
}

/**
 * @param {string} id
 * @returns {any} the element, of whatever kind the page made it
 */
export function element(id) {
  return document.getElementById(id);
}
