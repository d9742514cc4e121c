/** A review as typed to what the model reads: everything of the page that needs no page. */

/** Known words the model reads: the last ones of a review, where the verdict stands. */
export const LENGTH = 80;

/** The same expression splits the texts in train.py; the second apostrophe is what phones type. */
const WORD = /[A-Za-z0-9]+(?:['’][A-Za-z]+)?/g;

/**
 * @param {string[]} vocabulary word by id
 * @returns {Map<string, number>} id by word
 */
export function idsByWord(vocabulary) {
  return new Map(vocabulary.map((word, id) => [word, id]));
}

/**
 * The words of a text in lower case, with where they stand in it.
 * @param {string} text
 */
export function tokenise(text) {
  return [...text.matchAll(WORD)].map(({ 0: word, index }) => ({
    word: word.toLowerCase().replace('’', "'"),
    index,
  }));
}

/**
 * Ids of the last LENGTH words that the model knows, zeros in front. Unknown words are left out.
 * @param {string} text
 * @param {Map<string, number>} ids
 */
export function encode(text, ids) {
  const known = tokenise(text).flatMap(({ word }) => ids.get(word) ?? []);
  const read = known.slice(-LENGTH);
  const data = new Int32Array(LENGTH);
  data.set(read, LENGTH - read.length);
  return data;
}

/**
 * The text in pieces, each with what becomes of it: `known` is read by the model, `unknown` is not
 * in its vocabulary, `early` is a known word before the last LENGTH, `between` is no word.
 * @param {string} text
 * @param {Map<string, number>} ids
 */
export function pieces(text, ids) {
  const words = tokenise(text);
  let early = words.filter(({ word }) => ids.has(word)).length - LENGTH;
  const result = [];
  let end = 0;
  for (const { word, index } of words) {
    if (index > end) result.push({ kind: 'between', text: text.slice(end, index) });
    end = index + word.length;
    const kind = !ids.has(word) ? 'unknown' : early-- > 0 ? 'early' : 'known';
    result.push({ kind, text: text.slice(index, end) });
  }
  if (end < text.length) result.push({ kind: 'between', text: text.slice(end) });
  return result;
}
