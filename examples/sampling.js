/** Drawing one of many by its probability: what the pages that write text share. */

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
