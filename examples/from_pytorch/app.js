import * as page from '../page.js';
import { decode, encode, stretches } from './tags.js';

const { element } = page;

/**
 * One literal import for each model, so that only the one in use is fetched.
 * @type {Record<string, () => Promise<any>>}
 */
const MODELS = {
  tagger: () => import('./tagger_web/index.js'),
  encoder: () => import('./encoder_web/index.js'),
};

/** @type {any} the model in use */
let runner;
/** @type {import('./tags.js').Alphabet} */
let alphabet;
/** @type {string | null} the note whose tags the page shows */
let shown = null;
/** @type {number[][]} the tag of each character of each line, as far as known */
let tags = [];

/** The characters of each line of the note. */
const readLines = () =>
  element('note')
    .value.split('\n')
    .map((/** @type {string} */ l) => [...l]);

/**
 * @param {string} name of the element
 * @param {string} text
 * @param {number} tag
 */
function marked(name, text, tag) {
  const made = document.createElement(tag ? name : 'span');
  made.className = alphabet.tags[tag];
  made.textContent = text;
  return made;
}

/** Writes the note under the transparent text area, in the colours of the tags known so far. */
function paint() {
  const lines = readLines().map((/** @type {string[]} */ line, /** @type {number} */ row) => [
    ...stretches(line, tags[row] ?? []).map(({ text, tag }) => marked('mark', text, tag)),
    '\n',
  ]);
  element('marked').replaceChildren(...lines.flat());
}

/** Tags the note, one row of the batch a line, and lists what was found. */
async function tagNote() {
  const note = element('note').value;
  if (!runner || note === shown) return; // typed while another run was under way, and shown since
  page.setState('running');
  const lines = readLines();
  const started = performance.now();
  const scores = (await runner.run(encode(lines, alphabet))).tags;
  const milliseconds = performance.now() - started;
  tags = decode(scores, lines);
  shown = note;
  paint();
  const found = lines.flatMap((line, row) => stretches(line, tags[row]));
  for (const [tag, name] of alphabet.tags.entries()) {
    const texts = new Set(found.flatMap((each) => (each.tag === tag ? each.text : [])));
    if (tag) element(name).replaceChildren(...[...texts].map((text) => marked('mark', text, tag)));
  }
  const [rows, time] = scores.shape;
  page.setState(
    'ready',
    `${page.describeRun(runner, milliseconds)}: ${rows} lines of up to ${time} letters`,
  );
}

async function useModel() {
  runner = await page.loadModel(MODELS[model()], runner);
  shown = null;
  await tagNote();
}

const model = page.offerChoice('model', page.inTurn(useModel));
page.inTurn(async () => {
  alphabet = await page.fetchJson('alphabet.json');
  paint();
  await useModel();
})();
element('note').addEventListener('input', () => alphabet && paint());
element('note').addEventListener('input', page.inTurn(tagNote));
page.offerChips('examples', (text) => {
  element('note').value = text;
  element('note').dispatchEvent(new Event('input'));
});
