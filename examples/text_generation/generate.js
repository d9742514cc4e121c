/** Characters to numbers and back: everything of the text generator that needs no page. */

/** Characters that each window has in training. */
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
 * The last characters of a normalised text; a short one gets new lines in front, which is how a
 * speech begins.
 * @param {string} text
 */
export const lastWindow = (text) => text.slice(-WINDOW).padStart(WINDOW, '\n');

/**
 * Reads characters, which are normalised.
 * @param {any} runner
 * @param {string} characters
 * @param {string[]} alphabet
 * @returns {Promise<Float32Array>} the probability of each character of the alphabet to be next
 */
export async function read(runner, characters, alphabet) {
  const data = new Float32Array(characters.length * alphabet.length);
  [...characters].forEach((character, step) => {
    data[step * alphabet.length + alphabet.indexOf(character)] = 1;
  });
  const input = { data, shape: [1, characters.length, alphabet.length] };
  const [{ data: probabilities }] = Object.values(
    await runner.run({ [runner.inputs[0].name]: input }),
  );
  return probabilities;
}

/**
 * Continues a text for ever. On windows, each run forgets what was before, and reads the last
 * characters anew. In steps, the first run reads the whole beginning, and each other the one
 * character that is new: what the model remembers stays on the device.
 * @param {any} runner
 * @param {string} text normalised
 * @param {string[]} alphabet
 * @param {'window' | 'steps'} way
 * @param {(probabilities: Float32Array) => number} choose gives the index of the next character
 */
export async function* write(runner, text, alphabet, way, choose) {
  let unread = text.length < WINDOW ? lastWindow(text) : text;
  await runner.states.reset();
  while (true) {
    const started = performance.now();
    if (way === 'window') await runner.states.reset();
    const probabilities = await read(
      runner,
      way === 'window' ? lastWindow(text) : unread,
      alphabet,
    );
    const milliseconds = performance.now() - started;
    unread = alphabet[choose(probabilities)];
    text += unread;
    yield { character: unread, probabilities, milliseconds };
  }
}
