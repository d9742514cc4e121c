import * as page from '../page.js';
import { seededRandom } from '../sampling.js';
import { markChosen, showFable } from './fable.js';
import { measure, tell, windows } from './story.js';

const { element } = page;

/**
 * One literal import for each model, so that only the one in use is loaded.
 * @type {Record<string, () => Promise<any>>}
 */
const MODELS = {
  story: () => import('./story_web/index.js'),
  story_two_layers: () => import('./story_two_layers_web/index.js'),
};
const random = page.query.has('seed') ? seededRandom(Number(page.query.get('seed'))) : Math.random;

/** @type {any} the model in use */
let runner;
/** @type {(values: number[], count: number) => number[]} */
let argmax;
/** @type {string[]} the words of the fable */
let fable;
/** @type {string[]} each of them once, in the order of the model's numbers */
let vocabulary;
/** @type {number[]} places in the fable of the three words to begin with */
let chosen;
/** Counts what was asked for: a story ends when something else is. */
let turn = 0;
const anyPlace = () => Math.floor(random() * fable.length);
/** @param {(mine: number) => Promise<void>} action done in turn, told which turn it is */
const doing = (action) => () => {
  const mine = ++turn;
  page.inTurn(() => action(mine))();
};

/**
 * Marks three words in the fable, and begins the story with them.
 * @param {number[]} places
 */
function choose(places) {
  turn += 1;
  chosen = places;
  markChosen(element('fable'), chosen);
  element('story').replaceChildren();
  for (const place of chosen) write(fable[place], 'chosen');
}

/** @param {string} word @param {string} kind */
function write(word, kind) {
  const made = document.createElement('span');
  made.className = kind;
  made.textContent = word;
  element('story').append(/^\W$/.test(word) ? '' : ' ', made);
}

/** @param {number[]} probabilities */
function showGuesses(probabilities) {
  for (const [row, index] of argmax(probabilities, 3).entries()) {
    const [word, meter, percent] = element('guesses').children[row].children;
    word.textContent = vocabulary[index];
    meter.value = probabilities[index];
    percent.textContent = `${(100 * probabilities[index]).toFixed(1)} %`;
  }
}

/** Continues the chosen words. */
async function continueStory(/** @type {number} */ mine) {
  if (!runner) return;
  page.setState('running', 'Telling');
  element('stop').disabled = false;
  const inFable = new Set(windows(fable).map(({ window, after }) => `${window} ${after}`));
  const begin = chosen.map((place) => fable[place]);
  let [told, spent] = [0, 0];
  for await (const step of tell(runner, begin, vocabulary, random)) {
    if (mine !== turn) break;
    write(step.after, inFable.has(`${step.window} ${step.after}`) ? 'known' : 'own');
    showGuesses(step.probabilities);
    told += 1;
    spent += step.milliseconds;
    if (told >= (element('length').valueAsNumber || 60)) break;
    const pause = 1000 / element('pace').valueAsNumber - step.milliseconds;
    await new Promise((resolve) => setTimeout(resolve, pause));
  }
  element('stop').disabled = true;
  page.setState(
    'done',
    told ? `${page.describeRun(runner, spent / told)}, ${told} words` : 'Stopped',
  );
}

/** Shows the share of the fable's words that the model says when asked. */
async function showMeasure() {
  if (!runner) return;
  page.setState('running', 'Measuring');
  const { right, all, milliseconds } = await measure(runner, fable, vocabulary);
  element('accuracy').textContent = `${((100 * right) / all).toFixed(2)} %`;
  page.setState(
    'done',
    `${right} of ${all} right; ${page.describeRun(runner, milliseconds)} for all`,
  );
}

async function useModel() {
  runner = await page.loadModel(MODELS[model()], runner);
  ({ argmax } = await MODELS[model()]());
  element('accuracy').textContent = '';
  page.setState('ready', `Ready on ${runner.report.backend}`);
}

const model = page.offerChoice('model', doing(useModel));
doing(async () => {
  fable = (await (await fetch('belling_the_cat.txt')).text()).trim().split(' ');
  vocabulary = await page.fetchJson('vocabulary.json');
  showFable(element('fable'), fable, (place) => choose([...chosen.slice(1), place]));
  choose([0, 1, 2]);
  element('any').addEventListener('click', () => choose(chosen.map(anyPlace)));
  element('continue').addEventListener('click', () => {
    choose(chosen);
    doing(continueStory)();
  });
  await useModel();
})();
element('stop').addEventListener('click', () => (turn += 1));
element('measure').addEventListener('click', doing(showMeasure));
