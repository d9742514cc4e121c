/** Lines of text to what a tagger reads, and its scores to tags: all of the page that needs no page. */

/** @typedef {{ characters: string, first: number, tags: string[] }} Alphabet */

/**
 * One row of ids a line, zeros behind the shorter ones, and the length of each. A character that
 * `indexOf` does not find gets the id before the first, which stands for all others.
 * @param {string[][]} lines of characters
 * @param {Alphabet} alphabet
 */
export function encode(lines, { characters, first }) {
  const lengths = lines.map((line) => Math.max(1, line.length));
  const time = Math.max(...lengths);
  const data = new Int32Array(lines.length * time);
  for (const [row, line] of lines.entries()) {
    const ids = line.map((character) => characters.indexOf(character) + first);
    data.set(ids, row * time);
  }
  return {
    characters: { data, shape: [lines.length, time] },
    lengths: { data: Int32Array.from(lengths), shape: [lines.length] },
  };
}

/**
 * The tag of each character of each line. The letters and digits of a word vote: it has one tag,
 * the one with the highest sum of scores.
 * @param {{ data: ArrayLike<number>, shape: readonly number[] }} scores [lines, time, tags]
 * @param {string[][]} lines
 */
export function decode({ data, shape: [, time, count] }, lines) {
  return lines.map((line, row) => {
    /** @type {number[]} */
    const tags = [];
    for (let begin = 0, end = 0; begin < line.length; begin = end) {
      do end++;
      while (end < line.length && isPartOfWord(line[end - 1]) && isPartOfWord(line[end]));
      const sums = Array.from({ length: count }, () => 0);
      const from = (row * time + begin) * count;
      for (let i = 0; i < (end - begin) * count; i++) sums[i % count] += data[from + i];
      tags.length = end;
      tags.fill(sums.indexOf(Math.max(...sums)), begin);
    }
    return tags;
  });
}

/** @param {string} character */
const isPartOfWord = (character) => /[\p{L}\p{N}]/u.test(character);

/**
 * A line in stretches of one tag.
 * @param {string[]} line
 * @param {number[]} tags of each character
 */
export function stretches(line, tags) {
  /** @type {{ text: string, tag: number }[]} */
  const found = [];
  for (const [step, character] of line.entries()) {
    const last = found.at(-1);
    const tag = tags[step] ?? 0;
    if (last?.tag === tag) last.text += character;
    else found.push({ text: character, tag });
  }
  return found;
}
