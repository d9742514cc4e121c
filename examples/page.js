/**
 * What the example pages share: options from the address bar, models, and saying what ran.
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
 * Loads the model whose bundle `open` imports.
 * @param {() => Promise<{ load: (options: object) => Promise<any> }>} open
 * @param {{ dispose: () => Promise<void> }} [before] the model whose place it takes
 * @returns {Promise<any>} its runner
 */
export async function loadModel(open, before) {
  setState('running', 'Loading the model');
  const { load } = await open().catch((cause) => {
    const message =
      'The model of this page is not converted yet: README.md of the examples has the command';
    throw new Error(message, { cause });
  });
  await before?.dispose();
  return load(loadOptions());
}

/**
 * What the form's radio buttons `name` choose; the address may choose first, as `?name=`.
 * @param {string} name
 * @param {() => void} [change] is called when they choose anew
 * @returns {() => string}
 */
export function offerChoice(name, change = () => {}) {
  const buttons = element('form').elements[name];
  if (query.has(name)) buttons.value = query.get(name);
  for (const button of buttons) button.addEventListener('change', change);
  return () => buttons.value;
}

/** @param {string} file */
export async function fetchJson(file) {
  const response = await fetch(file);
  if (!response.ok) throw new Error(`${file} is not there: README.md says what writes it`);
  return response.json();
}

/**
 * Calls `use` with what the buttons in the group `id` offer: their value, or else their text.
 * @param {string} id
 * @param {(text: string) => void} use
 * @param {string[]} [texts] for which buttons are made
 */
export function offerChips(id, use, texts = []) {
  for (const text of texts) {
    const button = document.createElement('button');
    Object.assign(button, { type: 'button', value: text, textContent: text.trim() });
    element(id).append(button);
  }
  for (const button of element(id).querySelectorAll('button')) {
    const text = button.value || button.textContent.trim().replace(/\s+/g, ' ');
    button.addEventListener('click', () => use(text));
  }
}

let last = Promise.resolve();
/**
 * A function that does `action` after what came before, so that no model goes amid a run, and
 * shows what goes wrong.
 * @param {() => Promise<void>} action
 */
export const inTurn = (action) => () => (last = last.then(action).catch(showError));

/**
 * Writes the page's state where a style sheet, and a test, can see it; what is live is not read
 * out half done.
 * @param {'ready' | 'running' | 'done' | 'error'} state
 * @param {string} [message] for people; without one the last stays
 */
export function setState(state, message) {
  document.body.dataset.state = state;
  for (const live of document.querySelectorAll('[aria-live]')) {
    live.ariaBusy = String(state === 'running');
  }
  if (message !== undefined) element('status').textContent = message;
}

/** @param {any} error */
export function showError(error) {
  console.error(error);
  const hint =
    error?.code === 'no-backend' && query.has('backend')
      ? '. Without ?backend= in its address the page takes what works here; with ?software=1 also a GPU in software'
      : '';
  setState('error', `${error?.message ?? error}${hint}.`);
}

/**
 * @param {{ report: { backend: string, variant?: string | null } }} runner
 * @param {number} milliseconds that took
 * @param {string} [what]
 */
export function describeRun({ report }, milliseconds, what = 'run') {
  const backend = report.variant ? `${report.backend} (${report.variant})` : report.backend;
  return `${backend}, ${milliseconds.toFixed(milliseconds < 10 ? 2 : 0)} ms a ${what}`;
}

/**
 * @param {string} id
 * @returns {any} the element, of whatever kind the page made it
 */
export function element(id) {
  return document.getElementById(id);
}
