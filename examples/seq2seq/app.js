import * as page from '../page.js';
import { decode, LENGTH, normalise, repeat } from './dates.js';

const { element } = page;

// One literal import for each model, so that only the one in use is fetched.
/** @type {Record<string, { open: () => Promise<any>, write: typeof decode }>} */
const MODELS = {
  decoder: { open: () => import('./date_lstm_web/index.js'), write: decode },
  repeat: { open: () => import('./date_repeat_web/index.js'), write: repeat },
};

/** @type {any} the model in use */
let runner;
/** @type {typeof decode} how it writes */
let write;
/** Counts what was asked for: of older questions no answer is shown. */
let asked = 0;

const cells = Array.from({ length: LENGTH }, () => {
  const cell = element('date').appendChild(document.createElement('li'));
  cell.append(...['b', 'i', 'small'].map((name) => document.createElement(name)));
  return cell;
});

/**
 * @param {number} position
 * @param {import('./dates.js').Letter} [letter]
 * @param {number} [milliseconds]
 */
function show(position, letter, milliseconds) {
  const [character, bar, time] = cells[position].children;
  character.textContent = letter?.character ?? '';
  /** @type {HTMLElement} */ (bar).style.setProperty('--sure', String(letter?.probability ?? 0));
  time.textContent = milliseconds === undefined ? '' : milliseconds.toFixed(1);
}

/** Writes the date of what stands in the field, a character at a time for the eye. */
async function answer() {
  if (!runner) return;
  const question = asked;
  const text = normalise(element('text').value);
  cells.forEach((_, k) => show(k));
  if (!text) return page.setState('ready');
  page.setState('running');
  let [shown, spent, started] = [0, 0, performance.now()];
  for await (const letter of write(runner, text)) {
    const milliseconds = performance.now() - started;
    await new Promise((resolve) => setTimeout(resolve, 30));
    if (question !== asked) return;
    show(shown++, letter, milliseconds);
    spent += milliseconds;
    started = performance.now();
  }
  page.setState('ready', page.describeRun(runner, spent / LENGTH, 'character'));
}

/** Writes a thousand dates that no model has seen in training. */
async function measure() {
  if (!runner) return;
  page.setState('running', 'Measuring');
  const pairs = await page.fetchJson('heldout.json');
  const question = asked;
  let right = 0;
  for (const [k, [text, date]] of pairs.entries()) {
    let found = '';
    for await (const { character } of write(runner, normalise(text))) found += character;
    if (found === date) right++;
    if (question !== asked) return;
    if (k % 50) continue;
    element('accuracy').textContent = `${right} of ${k + 1}`;
    await new Promise((resolve) => setTimeout(resolve));
  }
  element('accuracy').textContent =
    `${((100 * right) / pairs.length).toFixed(1)} % of ${pairs.length} right in every character`;
  page.setState('done', `Measured on ${runner.report.backend}`);
}

async function useModel() {
  const { open, write: writes } = MODELS[model()];
  runner = await page.loadModel(open, runner);
  write = writes;
  element('accuracy').textContent = 'on a thousand dates that it never saw';
  await answer();
}

/** @param {() => Promise<void>} action done in turn, since states are for one at a time */
const doing = (action) => () => (++asked, page.inTurn(action)());

const model = page.offerChoice('model', doing(useModel));
element('text').addEventListener('input', doing(answer));
element('measure').addEventListener('click', doing(measure));
element('form').addEventListener('submit', (/** @type {Event} */ event) => event.preventDefault());
page.offerChips('examples', (text) => {
  element('text').value = text;
  doing(answer)();
});
doing(useModel)();
