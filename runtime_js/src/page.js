// The page of a bundle: fill in the inputs, choose a backend, see what comes out and how fast.

import { getBackendAvailability, load } from '../index.js';
import { count, size } from './shape.js';

/** @import { BackendName, Sizes, Tensor } from './types.d.ts' */

/** Inputs of more numbers are random and not shown. */
const MOST_SHOWN = 4096;
/** Outputs of more numbers have no bars. */
const MOST_BARS = 128;
/** The lengths of the sequences that a list has at first. */
const LENGTHS = [5, 2, 7];
/** Sizes that are open are the first of these that the model takes; those of batches are 1. */
const FIRST_SIZES = [16, 32, 64, 128, 256, 512, 1024, 2048, 4096];
const BATCH = /^batch|_0$/i;
/** Runs are repeated for about this long, in ms, for the mean. */
const REPEAT = 300;

/** @type {any} the loaded model */
let runner;
/** @type {any} the entry that the page shows */
let entry;
/** @type {Sizes} */
let sizes = {};
/** @type {(string | number[])[]} the inputs as typed, or as made where they are too long to show */
let values = [];

/** @param {string} id */
const element = (id) => /** @type {any} */ (document.getElementById(id));

/**
 * @param {string} tag
 * @param {Record<string, unknown>} properties
 * @param {(Node | string)[]} children
 * @returns {any}
 */
function make(tag, properties = {}, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
}

/** @param {string} text */
const say = (text) => (element('status').textContent = text);

/** @param {number} ms */
const milliseconds = (ms) => `${ms < 10 ? ms.toPrecision(2) : Math.round(ms)} ms`;

/** @param {any} error */
function show(error) {
  say(error.code ? `${error.code}: ${error.message}` : String(error));
  element('status').className = 'error';
  element('outputs').replaceChildren();
}

/** @param {() => unknown} action */
const handle = (action) => async () => {
  element('status').className = '';
  element('notice').hidden = true;
  try {
    await action();
  } catch (error) {
    show(error);
  }
};

/** @param {BackendName} backend */
async function choose(backend) {
  say(`Loading on ${backend}`);
  element('progress').hidden = false;
  const old = runner;
  runner = await load({
    backendOrder: backend,
    allowSoftware: true,
    onProgress: ({ phase, loaded, total }) => {
      say(`${phase}: ${loaded.toLocaleString()} of ${total.toLocaleString()}`);
      element('progress').value = total ? loaded / total : 1;
    },
  }).finally(() => (element('progress').hidden = true));
  await old?.dispose();
  const position = Math.max(0, element('entry').selectedIndex);
  if (!old) showEntries();
  entry = runner.entries[position];
  if (!old) showForm();
  await measure();
}

function showEntries() {
  element('entry').replaceChildren(
    ...runner.entries.map((/** @type {any} */ { name }) => make('option', { textContent: name })),
  );
  element('entry-choice').hidden = runner.entries.length < 2;
  element('reset').hidden = !runner.model.states.length;
}

/** The inputs that have a field: lengths come with their lists. */
const inputsSeen = () => {
  const { inputs } = entry.type;
  const lengths = inputs.map((/** @type {any} */ type) => type.lengths);
  return inputs.filter((/** @type {any} */ _, /** @type {number} */ i) => !lengths.includes(i));
};

/** The lengths of a list's sequences at first. @param {any} type */
const firstLengths = ({ least = 1 }) => LENGTHS.map((n) => n + least - 1);

/** The sizes that lists have at first; they follow from what is in their fields. */
function listSizes() {
  const { inputs } = entry.type;
  const lists = inputs.filter((/** @type {any} */ { lengths }) => lengths !== undefined);
  return Object.fromEntries(
    lists.flatMap((/** @type {any} */ type) => [
      [type.shape[0], firstLengths(type).reduce((sum, n) => sum + n)],
      [inputs[type.lengths].shape[0], LENGTHS.length],
    ]),
  );
}

/**
 * Sizes that the entry, and what it is made of, can run at.
 * @param {Sizes} ofLists
 */
function firstSizes(ofLists) {
  const { symbols, outputs } = entry.type;
  const parts = runner.model.entries.filter(
    (/** @type {any} */ type) => type.hidden || type === entry.type,
  );
  const guards = parts.flatMap((/** @type {any} */ type) => type.guards);
  const all = FIRST_SIZES.map((n) =>
    Object.fromEntries(
      symbols.map((/** @type {string} */ symbol) => [
        symbol,
        ofLists[symbol] ?? (BATCH.test(symbol) ? 1 : n),
      ]),
    ),
  );
  // What a size of another entry makes is not known here.
  const fits = (/** @type {Sizes} */ made) =>
    guards.every((/** @type {any} */ [a, b]) => !(size(a, made) - size(b, made))) &&
    outputs.every((/** @type {any} */ { shape }) =>
      shape.every((/** @type {any} */ dim) => !(size(dim, made) < 0)),
    );
  return all.find(fits) ?? all[0];
}

/** Makes fields for the sizes and the inputs of the entry. */
function showForm() {
  const ofLists = listSizes();
  sizes = firstSizes(ofLists);
  // Those that only states have are what the states hold.
  const told = new Set(entry.type.inputs.flatMap((/** @type {any} */ { shape }) => shape));
  const open = Object.keys(sizes).filter((symbol) => !(symbol in ofLists) && told.has(symbol));
  element('sizes').replaceChildren(
    ...open.map((symbol) => {
      const field = make('input', { type: 'number', min: '0', value: String(sizes[symbol]) });
      field.addEventListener('change', () => {
        sizes[symbol] = Number(field.value);
        fillIn();
      });
      return make('label', {}, `${symbol} `, field);
    }),
  );
  fillIn();
}

/** @param {any} type */
const shapeOf = (type) => type.shape.map((/** @type {any} */ dim) => size(dim, sizes));

/** Fills in random numbers that suit each input. */
function fillIn() {
  values = inputsSeen().map((/** @type {any} */ type) => {
    if (type.lengths !== undefined) return randomLines(type);
    const numbers = Array.from({ length: count(shapeOf(type)) }, () => randomValue(type));
    return numbers.length > MOST_SHOWN ? numbers : numbers.join(', ');
  });
  element('inputs').replaceChildren(
    ...inputsSeen().map((/** @type {any} */ type, /** @type {number} */ i) => {
      const value = values[i];
      const shown = typeof value === 'string';
      const text = shown ? value : `${value.length.toLocaleString()} random numbers`;
      const area = make('textarea', { value: text, rows: 3, disabled: !shown, spellcheck: false });
      area.addEventListener('input', () => {
        values[i] = area.value;
      });
      return make('label', {}, `${type.name}: ${described(type)}`, area);
    }),
  );
}

/** @param {any} type */
function described(type) {
  if (type.lengths === undefined) return `${type.dtype} [${shapeOf(type).join(', ')}]`;
  const shape = ['length', ...type.shape.slice(1)].join(', ');
  const least = type.least > 1 ? `, length >= ${type.least}` : '';
  const first = entry.type.inputs.find((/** @type {any} */ x) => x.lengths === type.lengths);
  const shared = first === type ? '' : `, each as long as in ${first.name}`;
  return `list of ${type.dtype} [${shape}]${least}${shared}, each in a line`;
}

/** A line of random numbers for each sequence of a list. @param {any} type */
const randomLines = (type) =>
  firstLengths(type)
    .map((length) =>
      Array.from({ length: length * count(type.shape.slice(1)) }, () => randomValue(type)).join(
        ', ',
      ),
    )
    .join('\n');

/** @param {string} text */
const numbersIn = (text) =>
  text
    .split(/[\s,;]+/)
    .filter(Boolean)
    .map(Number);

/** @param {any} type */
function randomValue({ dtype, vocabulary }) {
  if (vocabulary) return Math.floor(Math.random() * vocabulary);
  if (dtype === 'bool') return Math.round(Math.random());
  return dtype[0] === 'f' ? Number(Math.random().toFixed(3)) : Math.floor(Math.random() * 10);
}

function readInputs() {
  return Object.fromEntries(
    inputsSeen().map((/** @type {any} */ type, /** @type {number} */ i) => {
      const value = values[i];
      if (type.lengths !== undefined) {
        const lines = String(value).split('\n');
        return [type.name, lines.filter((line) => line.trim()).map(numbersIn)];
      }
      const data = typeof value === 'string' ? numbersIn(value) : value;
      return [type.name, { data, shape: shapeOf(type) }];
    }),
  );
}

/** Runs once to show the outputs, then again and again for the mean. */
async function measure() {
  const inputs = readInputs();
  say('Running');
  let start = performance.now();
  showOutputs(await entry.run(inputs));
  const first = performance.now() - start;
  let runs = 0;
  // One run may be shorter than the clock's step.
  for (start = performance.now(); runs < 3 || performance.now() < start + REPEAT; runs++) {
    await entry.run(inputs);
  }
  const mean = (performance.now() - start) / runs;
  const { backend, variant, adapter, loadMs } = runner.report;
  const cells = [backend, variant, ...[loadMs, first, mean].map(milliseconds)];
  const row = make('tr', { id: `timing-${backend}` }, ...cells.map((text) => make('td', {}, text)));
  element(row.id)?.remove();
  element('timings').querySelector('tbody').append(row);
  element('timings').hidden = false;
  say(`${backend}${adapter ? ` on ${adapter}` : ''}: ${milliseconds(mean)} a run`);
}

/** @param {Record<string, Tensor | Tensor[]>} outputs */
function showOutputs(outputs) {
  const tensors = Object.entries(outputs).flatMap(([name, value]) =>
    Array.isArray(value)
      ? value.map((tensor, k) => ({ name: `${name}[${k}]`, ...tensor }))
      : [{ name, ...value }],
  );
  element('outputs').replaceChildren(
    ...tensors.map(({ name, data, shape, dtype }) => {
      const numbers = Array.from(/** @type {ArrayLike<number>} */ (data), Number);
      const written = numbers.slice(0, MOST_SHOWN).map((x) => Number(x.toPrecision(6)));
      const rest = numbers.length > MOST_SHOWN ? ', ...' : '';
      return make(
        'article',
        {},
        make('h3', {}, name, make('small', {}, ` ${dtype} [${shape.join(', ')}]`)),
        numbers.length < 2 || numbers.length > MOST_BARS ? '' : bars(numbers),
        make('pre', {}, written.join(', ') + rest),
      );
    }),
  );
}

/** @param {number[]} numbers */
function bars(numbers) {
  const most = Math.max(...numbers.map(Math.abs), Number.MIN_VALUE);
  return make(
    'div',
    { className: 'bars' },
    ...numbers.map((x, i) => {
      const bar = make('span', { title: `${i}: ${x}`, className: x < 0 ? 'negative' : '' });
      bar.style.height = `${(100 * Math.abs(x)) / most}%`;
      return bar;
    }),
  );
}

const { status, defaultOrder } = getBackendAvailability();
element('backends').append(
  .../** @type {BackendName[]} */ (Object.keys(status)).map((backend) => {
    const radio = make('input', { type: 'radio', name: 'backend', disabled: !status[backend] });
    Object.assign(radio, { value: backend, checked: backend === defaultOrder[0] });
    radio.addEventListener(
      'change',
      handle(() => choose(backend)),
    );
    return make('label', {}, radio, ` ${backend}`);
  }),
);
element('form').addEventListener('submit', (/** @type {Event} */ event) => {
  event.preventDefault();
  handle(measure)();
});
element('random').addEventListener('click', handle(fillIn));
element('reset').addEventListener(
  'click',
  handle(async () => {
    await runner.states.reset();
    say('States are at their initial values');
  }),
);
element('entry').addEventListener(
  'change',
  handle(async () => {
    entry = runner.entries[element('entry').selectedIndex];
    showForm();
    await measure();
  }),
);
handle(() => choose(defaultOrder[0]))();
