// Which classes a model finds likeliest.

/**
 * The positions of the `k` largest values, the largest first; equal values in order.
 * @param {ArrayLike<number>} array
 * @param {number} [k]
 * @returns {number[]}
 */
export function argmax(array, k = 1) {
  const positions = Array.from(array, (_, i) => i);
  return positions.sort((a, b) => array[b] - array[a]).slice(0, k);
}
