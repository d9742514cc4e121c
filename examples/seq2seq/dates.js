/** From a date as people write it to ISO 8601: everything of the example that needs no page. */

/** The characters that the models read; the first has index 1, 0 stands for none. */
const READS = " abcdefghijklmnopqrstuvwxyz0123456789.,/'-";
/** The characters that they write; the first stands before the first. */
const WRITES = '\n0123456789-';
/** Characters of a date. */
export const LENGTH = 10;

/** @typedef {{ character: string, probability: number }} Letter */

/**
 * Text in the characters that the models know.
 * @param {string} text
 */
export function normalise(text) {
  const known = text.toLowerCase().replace(/[’‘`]/g, "'").replace(/[–—]/g, '-');
  return [...known.replace(/\s+/g, ' ')]
    .filter((c) => READS.includes(c))
    .join('')
    .trim();
}

/** @param {string} text normalised */
const encode = (text) => ({
  data: Int32Array.from([...text], (character) => READS.indexOf(character) + 1),
  shape: [1, text.length],
});

/**
 * The likeliest character.
 * @param {ArrayLike<number>} probabilities
 * @returns {Letter}
 */
function likeliest(probabilities) {
  const probability = Math.max(...Array.from(probabilities));
  return { character: WRITES[Array.from(probabilities).indexOf(probability)], probability };
}

/**
 * Character by character, each the likeliest after those before it. The encoder leaves what it
 * read in the states h and c, where the decoder finds it and goes on: they stay on the device.
 * @param {any} runner of date_lstm_web
 * @param {string} text normalised
 * @returns {AsyncGenerator<Letter>}
 */
export async function* decode(runner, text) {
  await runner.entry('encoder').run({ text: encode(text) });
  let character = WRITES[0];
  for (let k = 0; k < LENGTH; k++) {
    const previous = { data: [WRITES.indexOf(character)], shape: [1, 1] };
    const { letter } = await runner.entry('decoder').run({ previous });
    const found = likeliest(letter.data);
    character = found.character;
    yield found;
  }
}

/**
 * All characters at once, from what the encoder read, repeated.
 * @param {any} runner of date_repeat_web
 * @param {string} text normalised
 * @returns {AsyncGenerator<Letter>}
 */
export async function* repeat(runner, text) {
  const { letter } = await runner.run({ text: encode(text) });
  const width = WRITES.length;
  for (let k = 0; k < LENGTH; k++)
    yield likeliest(letter.data.subarray(k * width, (k + 1) * width));
}
