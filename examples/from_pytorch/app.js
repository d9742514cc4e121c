import { describeRun, element, loadOptions, query, setState, showError } from '../page.js';
import { decode, encode, stretches } from './tags.js';

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
  if (note === shown) return; // typed while another run was under way, and shown since
  setState('running');
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
  setState('ready', `${describeRun(runner, milliseconds)}: ${rows} lines of up to ${time} letters`);
}

async function useModel() {
  setState('running', 'Loading the model');
  const { load } = await MODELS[element('form').elements.model.value]();
  await runner?.dispose();
  runner = await load(loadOptions());
  shown = null;
  await tagNote();
}

let last = Promise.resolve();
/** @param {() => Promise<void>} action done after those before it: no model goes amid a run */
const doing = (action) => () => (last = last.then(action).catch(showError));

try {
  alphabet = await (await fetch('alphabet.json')).json();
  element('form').elements.model.value = query.get('model') ?? 'tagger';
  element('choice').addEventListener('change', doing(useModel));
  element('note').addEventListener('input', paint);
  element('note').addEventListener('input', doing(tagNote));
  for (const button of document.querySelectorAll('#examples button')) {
    button.addEventListener('click', () => {
      element('note').value = button.textContent.trim().replace(/\s+/g, ' ');
      element('note').dispatchEvent(new Event('input'));
    });
  }
  paint();
  await doing(useModel)();
} catch (error) {
  showError(error);
}
