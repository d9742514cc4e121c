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
 * A seeded generator of uniform numbers in [0, 1): xorshift with 32 bits (Marsaglia 2003).
 * @param {number} seed
 */
export function seededRandom(seed) {
  // Any state but 0 will do; the multiplier spreads small seeds over all bits.
  let state = Math.imul(seed + 1, 0x9e3779b1) | 1;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) / 2 ** 32;
  };
}
