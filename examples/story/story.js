/** Words to numbers and back: everything of the story that needs no page. */

import { sample } from '../sampling.js';

/** Words the model sees at once. */
export const WINDOW = 3;
/** Below 1, so that a word the model hardly believes in is not drawn. */
const TEMPERATURE = 0.5;

/**
 * The probability of every word to come after each row of words, by one run of the model.
 * @param {any} runner
 * @param {string[][]} rows of WINDOW words each
 * @param {string[]} vocabulary
 * @returns {Promise<number[][]>}
 */
async function predict(runner, rows, vocabulary) {
  const numbers = Float32Array.from(rows.flat(), (word) => vocabulary.indexOf(word));
  const input = { data: numbers, shape: [rows.length, WINDOW, 1] };
  /** @type {any[]} */
  const [{ data }] = Object.values(await runner.run({ [runner.inputs[0].name]: input }));
  const symbols = vocabulary.length;
  return rows.map((_, row) => softmax([...data.subarray(row * symbols, (row + 1) * symbols)]));
}

/** @param {number[]} scores */
function softmax(scores) {
  const highest = Math.max(...scores);
  const powers = scores.map((score) => Math.exp(score - highest));
  const sum = powers.reduce((total, power) => total + power);
  return powers.map((power) => power / sum);
}

/**
 * Continues WINDOW words for ever, a run of the model for each.
 * @param {any} runner
 * @param {string[]} window
 * @param {string[]} vocabulary
 * @param {() => number} random uniform in [0, 1)
 */
export async function* tell(runner, window, vocabulary, random) {
  while (true) {
    const started = performance.now();
    const [probabilities] = await predict(runner, [window], vocabulary);
    const milliseconds = performance.now() - started;
    const after = vocabulary[sample(probabilities, TEMPERATURE, random)];
    yield { window, after, probabilities, milliseconds };
    window = [...window.slice(1), after];
  }
}

/**
 * Every window of a text, with the word after it.
 * @param {string[]} words
 */
export function windows(words) {
  return words.slice(WINDOW).map((after, start) => ({
    window: words.slice(start, start + WINDOW),
    after,
  }));
}

/**
 * Asks for every word of a text, in one run.
 * @param {any} runner
 * @param {string[]} words
 * @param {string[]} vocabulary
 */
export async function measure(runner, words, vocabulary) {
  const all = windows(words);
  const rows = all.map(({ window }) => window);
  const started = performance.now();
  const found = await predict(runner, rows, vocabulary);
  const milliseconds = performance.now() - started;
  const right = all.filter(({ after }, row) => {
    return vocabulary[found[row].indexOf(Math.max(...found[row]))] === after;
  });
  return { right: right.length, all: all.length, milliseconds };
}
