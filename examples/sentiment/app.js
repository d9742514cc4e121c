import * as page from '../page.js';
import { LENGTH, encode, idsByWord, pieces } from './tokenise.js';

const { element } = page;

/**
 * One literal import for each model, so that only the one in use is fetched.
 * @type {Record<string, () => Promise<any>>}
 */
const MODELS = {
  sentiment: () => import('./sentiment_web/index.js'),
  sentiment_stacked: () => import('./sentiment_stacked_web/index.js'),
};
const REVIEWS_A_RUN = 50;

/** @type {any} the model in use */
let runner;
/** @type {Map<string, number>} */
let ids;
/** @type {string | null} the text whose score the page shows */
let shown = null;

/**
 * Scores texts between 0, disliked, and 1, liked.
 * @param {string[]} texts
 * @returns {Promise<{ scores: ArrayLike<number>, milliseconds: number }>}
 */
async function score(texts) {
  const data = new Int32Array(texts.length * LENGTH);
  texts.forEach((text, row) => data.set(encode(text, ids), row * LENGTH));
  const started = performance.now();
  const input = { data, shape: [texts.length, LENGTH] };
  const [output] = Object.values(await runner.run({ [runner.inputs[0].name]: input }));
  return { scores: output.data, milliseconds: performance.now() - started };
}

/** Scores the review in the text area and shows which of its words the model read. */
async function showReview() {
  const text = element('review').value;
  if (!runner || text === shown) return; // typed while another run was under way, and shown since
  page.setState('running');
  const { scores, milliseconds } = await score([text]);
  shown = text;
  const percent = Math.round(scores[0] * 100);
  element('score').setAttribute('aria-valuenow', String(percent));
  element('bar').style.clipPath = `inset(0 ${100 - percent}% 0 0 round 0.45rem)`;
  element('verdict').textContent = `${percent} % positive`;
  element('words').replaceChildren(
    ...pieces(text, ids).map((piece) => {
      const span = document.createElement('span');
      span.className = piece.kind;
      span.textContent = piece.text;
      return span;
    }),
  );
  page.setState('ready', page.describeRun(runner, milliseconds));
}

/** Scores the held-out reviews and shows the share of right answers. */
async function measure() {
  if (!runner) return;
  page.setState('running', 'Measuring');
  const reviews = await page.fetchJson('heldout.json');
  let right = 0;
  let milliseconds = 0;
  for (let first = 0; first < reviews.length; first += REVIEWS_A_RUN) {
    const batch = reviews.slice(first, first + REVIEWS_A_RUN);
    const result = await score(batch.map((/** @type {any} */ review) => review.text));
    milliseconds += result.milliseconds;
    for (const [row, { positive }] of batch.entries()) {
      right += Number(result.scores[row] > 0.5 === positive);
    }
    element('accuracy').textContent = `${first + batch.length} of ${reviews.length}`;
  }
  element('accuracy').textContent = `${((100 * right) / reviews.length).toFixed(1)} %`;
  const run = page.describeRun(runner, (milliseconds * REVIEWS_A_RUN) / reviews.length);
  page.setState('done', `${right} of ${reviews.length} right; ${run} of ${REVIEWS_A_RUN}`);
}

async function useModel() {
  runner = await page.loadModel(MODELS[model()], runner);
  element('accuracy').textContent = '';
  shown = null;
  await showReview();
}

const model = page.offerChoice('model', page.inTurn(useModel));
page.inTurn(async () => {
  ids = idsByWord(await page.fetchJson('vocabulary.json'));
  await useModel();
})();
element('review').addEventListener('input', page.inTurn(showReview));
element('measure').addEventListener('click', page.inTurn(measure));
page.offerChips('examples', (text) => {
  element('review').value = text;
  page.inTurn(showReview)();
});
