/** A picture in words: everything of the example that needs no page. */

/** @typedef {{ encoder: any, decoder: any, words: string[], width: number, height: number }} Captioner */
/** @typedef {{ words: number[], sure: number, row?: number }} Found `sure` is a logarithm */
/** @typedef {{ caption: string, probability: number, done: boolean }} Beam */

/** The word that ends a caption. */
const END = 0;
/** Words of the longest caption, its end included. */
const LONGEST = 10;
/** As many candidates the decoder gives of each beam. */
export const WIDEST = 5;

/**
 * Runs one entry of the decoder. What it remembers stays on the device: `start` puts it there for
 * a new picture, `step` takes it on. Only what `fetch` names is read back.
 * @param {Captioner} captioner
 * @param {Float32Array | number[]} given a feature, or the last word of each beam
 * @param {string[]} fetch
 */
function say({ decoder }, given, fetch) {
  return given instanceof Float32Array
    ? decoder.entry('start').run({ feature: { data: given, shape: [1, given.length] } }, { fetch })
    : decoder.entry('step').run({ word: given }, { fetch });
}

/**
 * @param {Captioner} captioner
 * @param {Float32Array} picture
 * @returns {Promise<Float32Array>} what the encoder makes of it
 */
async function look({ encoder, width, height }, picture) {
  const { feature } = await encoder.run({
    picture: { data: picture, shape: [1, 1, height, width] },
  });
  return feature.data;
}

/**
 * Word by word, each the likeliest after those before it: the device says which, and no more.
 * @param {Captioner} captioner
 * @param {Float32Array} picture
 * @returns {AsyncGenerator<string>}
 */
export async function* greedy(captioner, picture) {
  /** @type {Float32Array | number[]} */
  let given = await look(captioner, picture);
  for (let k = 0; k < LONGEST; k++) {
    const { scores_argmax: word } = await say(captioner, given, ['scores_argmax']);
    if (word.data[0] === END) return;
    yield captioner.words[word.data[0]];
    given = [word.data[0]];
  }
}

/**
 * The likeliest captions, after each word: `width` are followed side by side, as rows of a batch.
 * @param {Captioner} captioner
 * @param {Float32Array} picture
 * @param {number} width at most WIDEST
 * @returns {AsyncGenerator<Beam[]>} the likeliest first
 */
export async function* beams(captioner, picture, width) {
  /** @type {Float32Array | number[]} */
  let given = await look(captioner, picture);
  /** @type {Found[]} */
  let found = [{ words: [], sure: 0 }];
  for (let k = 0; k < LONGEST; k++) {
    const live = found.filter(isOpen);
    const { scores, scores_indices: next } = await say(captioner, given, [
      'scores',
      'scores_indices',
    ]);
    const longer = Array.from(scores.data, (sure, place) => {
      const row = Math.floor(place / WIDEST);
      const words = [...live[row].words, next.data[place]];
      return { words, sure: live[row].sure + sure, row };
    });
    found = [...found.filter((beam) => !isOpen(beam)), ...longer];
    found = found.sort((a, b) => b.sure - a.sure).slice(0, width);
    yield found.map((beam) => readable(captioner, beam));
    const open = found.filter(isOpen);
    if (!open.length) return;
    // What each beam remembers follows its parent, on the device.
    await captioner.decoder.states.select(open.map(({ row }) => row));
    given = open.map(({ words }) => /** @type {number} */ (words.at(-1)));
  }
}

/** @param {Found} beam */
const isOpen = ({ words }) => words.at(-1) !== END;

/**
 * @param {Captioner} captioner
 * @param {Found} beam
 * @returns {Beam}
 */
function readable({ words: known }, beam) {
  const done = !isOpen(beam);
  const words = done ? beam.words.slice(0, -1) : beam.words;
  const caption = words.map((word) => known[word]).join(' ');
  return { caption, probability: Math.exp(beam.sure), done };
}

/**
 * The caption of a picture: the likeliest of `width` beams, or with 1 the greedy one.
 * @param {Captioner} captioner
 * @param {Float32Array} picture
 * @param {number} width
 */
export async function captionOf(captioner, picture, width) {
  /** @type {string[]} */
  const words = [];
  if (width === 1) {
    for await (const word of greedy(captioner, picture)) words.push(word);
    return words.join(' ');
  }
  let best = '';
  for await (const [beam] of beams(captioner, picture, width)) best = beam.caption;
  return best;
}
