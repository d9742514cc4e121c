/** Characters to numbers and back: everything of the text generator that needs no page. */

/** Characters the model sees at once. */
export const WINDOW = 16;

/**
 * Text in the model's own characters: lower case, every run of others a space.
 * @param {string} text
 * @param {string[]} alphabet
 */
export function normalise(text, alphabet) {
  const known = new Set(alphabet);
  return [...text.toLowerCase().replaceAll('’', "'")]
    .map((character) => (known.has(character) ? character : ' '))
    .join('')
    .replace(/ +/g, ' ');
}

/**
 * The last characters of a normalised text, one-hot, (WINDOW, alphabet); a short text gets
 * new lines in front, which is how a speech begins.
 * @param {string} text
 * @param {string[]} alphabet
 */
export function encodeWindow(text, alphabet) {
  const window = text.slice(-WINDOW).padStart(WINDOW, '\n');
  const data = new Float32Array(WINDOW * alphabet.length);
  [...window].forEach((character, step) => {
    data[step * alphabet.length + alphabet.indexOf(character)] = 1;
  });
  return data;
}

/**
 * Draws an index with probability p^(1 / temperature), normed; at temperature 0 the likeliest.
 * @param {ArrayLike<number>} probabilities
 * @param {number} temperature
 * @param {() => number} random uniform in [0, 1)
 */
export function sample(probabilities, temperature, random) {
  const likeliest = Math.max(...Array.from(probabilities));
  if (temperature <= 0) return Array.from(probabilities).indexOf(likeliest);
  const weights = Array.from(probabilities, (p) => (p / likeliest) ** (1 / temperature));
  let left = random() * weights.reduce((sum, weight) => sum + weight, 0);
  const index = weights.findIndex((weight) => (left -= weight) < 0);
  return index < 0 ? Array.from(probabilities).indexOf(likeliest) : index;
}

/**
 * A seeded generator of uniform numbers in [0, 1): mulberry32, by Tommy Ettinger, public domain.
 * @param {number} seed
 */
export function seededRandom(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let bits = Math.imul(state ^ (state >>> 15), state | 1);
    bits ^= bits + Math.imul(bits ^ (bits >>> 7), bits | 61);
    return ((bits ^ (bits >>> 14)) >>> 0) / 2 ** 32;
  };
}
