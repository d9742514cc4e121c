/** Scenes of handwritten digits as pictures; `scenes.py` draws the same for training. */

/** @typedef {[image: number, x: number, y: number, size: number]} Digit a row of the digits, and its square */
/** @typedef {{ digits: Digit[], brightness: number, seed: number, caption?: string }} Scene */
/** @typedef {{ label: number, pixels: Float32Array }} Image 8 x 8 values from 0 to 1 */
/** @typedef {{ width: number, height: number, words: string[], images: Image[], scenes: Scene[] }} HeldOut */

/**
 * What heldout.json holds.
 * @param {any} found
 * @returns {HeldOut}
 */
export function readHeldOut({ width, height, words, digits, scenes }) {
  const images = digits.map((/** @type {[number, string]} */ [label, row]) => ({
    label,
    pixels: Float32Array.from(row, (character) => parseInt(character, 17) / 16),
  }));
  const keys = ['digits', 'brightness', 'seed', 'caption'];
  const named = (/** @type {unknown[]} */ row) =>
    Object.fromEntries(row.map((value, k) => [keys[k], value]));
  return { width, height, words, images, scenes: scenes.map(named) };
}

/**
 * A number from 0 to 1 for the pixel `place`.
 * @param {number} seed @param {number} place
 */
function noise(seed, place) {
  let n = (place + Math.imul(seed, 0x9e3779b1)) >>> 0;
  for (const factor of [0x85ebca6b, 0xc2b2ae35]) n = Math.imul(n ^ (n >>> 15), factor) >>> 0;
  return (n >>> 16) / 65536;
}

/**
 * Where in 8 pixels the middle of each of `size` pixels lies.
 * @param {number} size
 */
const places = (size) =>
  Array.from({ length: size }, (_, k) => Math.min(7, Math.max(0, ((k + 0.5) * 8) / size - 0.5)));

/**
 * The value between four pixels.
 * @param {Float32Array} pixels @param {number} x @param {number} y
 */
function between(pixels, x, y) {
  const [left, top] = [Math.min(6, Math.floor(x)), Math.min(6, Math.floor(y))];
  const [right, below] = [x - left, y - top];
  const row = (/** @type {number} */ k) =>
    pixels[8 * k + left] * (1 - right) + pixels[8 * k + left + 1] * right;
  return row(top) * (1 - below) + row(top + 1) * below;
}

/**
 * The scene as the model sees it: `height` rows of `width` values, 0 is black.
 * @param {Scene} scene
 * @param {Pick<HeldOut, 'width' | 'height' | 'images'>} heldOut
 */
export function draw({ digits, brightness, seed }, { width, height, images }) {
  const picture = new Float32Array(width * height);
  for (const [image, left, top, size] of digits) {
    for (const [row, y] of places(size).entries()) {
      for (const [column, x] of places(size).entries()) {
        const place = (top + row) * width + left + column;
        const value = brightness * between(images[image].pixels, x, y);
        picture[place] = Math.max(picture[place], value);
      }
    }
  }
  return picture.map((value, place) => value + 0.15 * noise(seed, place));
}
