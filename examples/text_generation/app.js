import { load } from './char_lstm_web/index.js';
import { describeRun, element, loadOptions, query, setState, showError } from '../page.js';
import { encodeWindow, normalise, sample, seededRandom } from './generate.js';

let stopped = false;

/** @returns {number} the seed of the address, or a new one */
function chooseSeed() {
  const seed = query.get('seed');
  return seed === null ? crypto.getRandomValues(new Uint16Array(1))[0] : Number(seed);
}

/** Lets the page paint and listen. */
const breathe = () => new Promise((resolve) => setTimeout(resolve));

/**
 * Writes characters into the page, one run of the model each.
 * @param {any} runner
 * @param {string[]} alphabet
 */
async function generate(runner, alphabet) {
  const seed = chooseSeed();
  const random = seededRandom(seed);
  const length = element('length').valueAsNumber || 400;
  const prompt = normalise(element('prompt').value, alphabet);
  element('shown-prompt').textContent = prompt;
  stopped = false;
  setState('running', 'Generating');
  let text = '';
  let spent = 0;
  let painted = performance.now();
  while (text.length < length && !stopped) {
    const started = performance.now();
    runner.inputs[0].set(encodeWindow(prompt + text, alphabet));
    await runner.run();
    const probabilities = runner.outputs[0].toActual();
    spent += performance.now() - started;
    text += alphabet[sample(probabilities, element('temperature').valueAsNumber, random)];
    if (performance.now() - painted > 16) {
      element('output').textContent = text;
      await breathe();
      painted = performance.now();
    }
  }
  element('output').textContent = text;
  const run = describeRun(runner, spent / text.length);
  setState('done', `${run}, ${text.length} characters, seed ${seed}`);
}

/** @param {boolean} running */
function setRunning(running) {
  element('generate').disabled = running;
  element('stop').disabled = !running;
  element('text').setAttribute('aria-busy', String(running));
}

/** @param {string[]} seeds */
function offerSeeds(seeds) {
  for (const seed of seeds) {
    const button = document.createElement('button');
    button.type = 'button';
    button.textContent = seed.trim();
    button.addEventListener('click', () => (element('prompt').value = seed));
    element('seeds').append(button);
  }
}

try {
  const [alphabet, seeds] = await Promise.all(
    ['alphabet.json', 'seeds.json'].map(async (file) => (await fetch(file)).json()),
  );
  const runner = await load(loadOptions());
  offerSeeds(seeds);
  element('prompt').value = seeds[0];
  element('temperature').addEventListener('input', () => {
    element('shown-temperature').textContent = element('temperature').valueAsNumber.toFixed(2);
  });
  element('stop').addEventListener('click', () => (stopped = true));
  element('form').addEventListener('submit', (/** @type {Event} */ event) => {
    event.preventDefault();
    setRunning(true);
    generate(runner, alphabet)
      .catch(showError)
      .finally(() => setRunning(false));
  });
  setRunning(false);
  setState('ready', `Ready on ${runner.report.backend}`);
} catch (error) {
  showError(error);
}
