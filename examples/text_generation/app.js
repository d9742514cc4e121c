import * as page from '../page.js';
import { sample, seededRandom } from '../sampling.js';
import { normalise, write } from './generate.js';

const { element } = page;
let stopped = false;

/** @returns {number} the seed of the address, or a new one */
function chooseSeed() {
  const seed = page.query.get('seed');
  return seed === null ? crypto.getRandomValues(new Uint16Array(1))[0] : Number(seed);
}

/** Lets the page paint and listen. */
const breathe = () => new Promise((resolve) => setTimeout(resolve));

/** The mean, without the first if there are others: it reads the beginning. */
function mean(/** @type {number[]} */ times) {
  const later = times.slice(Math.min(1, times.length - 1));
  return later.reduce((sum, time) => sum + time, 0) / later.length;
}

/**
 * Writes characters into the page, one run of the model each.
 * @param {any} runner
 * @param {string[]} alphabet
 * @param {'window' | 'steps'} way
 */
async function generate(runner, alphabet, way) {
  const seed = chooseSeed();
  const random = seededRandom(seed);
  const length = element('length').valueAsNumber || 400;
  const prompt = normalise(element('prompt').value, alphabet);
  element('shown-prompt').textContent = prompt;
  stopped = false;
  page.setState('running', 'Generating');
  const choose = (/** @type {Float32Array} */ probabilities) =>
    sample(probabilities, element('temperature').valueAsNumber, random);
  let text = '';
  const times = [];
  let painted = performance.now();
  for await (const step of write(runner, prompt, alphabet, way, choose)) {
    text += step.character;
    times.push(step.milliseconds);
    if (stopped || text.length >= length) break;
    if (performance.now() - painted < 16) continue;
    element('output').textContent = text;
    await breathe();
    painted = performance.now();
  }
  element('output').textContent = text;
  element(`${way}-time`).textContent = `${mean(times).toFixed(2)} ms`;
  const run = page.describeRun(runner, mean(times), 'character');
  page.setState('done', `${run}, ${text.length} characters, seed ${seed}`);
}

/** @param {boolean} running */
function setRunning(running) {
  element('generate').disabled = running;
  element('stop').disabled = !running;
}

try {
  const [alphabet, seeds] = await Promise.all(['alphabet.json', 'seeds.json'].map(page.fetchJson));
  const reads = page.offerChoice('reads');
  page.offerChips('seeds', (seed) => (element('prompt').value = seed), seeds);
  element('prompt').value = element('shown-prompt').textContent = seeds[0];
  const runner = await page.loadModel(() => import('./char_lstm_web/index.js'));
  element('temperature').addEventListener('input', () => {
    element('shown-temperature').textContent = element('temperature').valueAsNumber.toFixed(2);
  });
  element('stop').addEventListener('click', () => (stopped = true));
  element('form').addEventListener('submit', (/** @type {Event} */ event) => {
    event.preventDefault();
    setRunning(true);
    generate(runner, alphabet, reads())
      .catch(page.showError)
      .finally(() => setRunning(false));
  });
  setRunning(false);
  page.setState('ready', `Ready on ${runner.report.backend}`);
} catch (error) {
  page.showError(error);
}
