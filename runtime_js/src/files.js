// Fetches the files of a bundle, and checks that they are what the compiler wrote.

import { WebconvError } from './errors.js';

/** @import { BundleFile, LoadOptions, Model, Weights } from './types.d.ts' */

/** @typedef {Response | Uint8Array} Answer */

/**
 * The bytes of one file.
 * @param {BundleFile} file
 * @param {LoadOptions} options
 */
export async function fetchFile(file, options) {
  const bytes = new Uint8Array(file.bytes);
  await receive(file, bytes, request(file, options), options);
  return bytes;
}

/**
 * What sessions load weights with. They are asked for at once, while a backend is being loaded.
 * @param {Model} model
 * @param {LoadOptions} options
 * @returns {Weights}
 */
export function openWeights({ weights }, options) {
  const total = weights.reduce((sum, file) => sum + file.bytes, 0);
  const ask = () => weights.map((file) => request(file, options));
  let early = ask();
  return {
    bytes: total,
    async load(place) {
      const requests = early.length ? early : ask();
      early = [];
      let loaded = 0;
      let offset = 0;
      const onChunk = (/** @type {number} */ n) => {
        loaded += n;
        options.onProgress?.({ phase: 'fetch', loaded, total });
      };
      await Promise.all(
        weights.map((file, i) => {
          const target = place(offset, file.bytes);
          offset += file.bytes;
          return receive(file, target, requests[i], options, onChunk);
        }),
      );
    },
  };
}

/** Whether digests can be computed here: browsers do not over plain http, except from localhost. */
export const canDigest = () => Boolean(globalThis.crypto?.subtle);

/**
 * @param {BundleFile} file
 * @param {Uint8Array<ArrayBuffer>} target
 * @param {Promise<Answer>} answer
 * @param {LoadOptions} options
 * @param {(bytes: number) => void} [onChunk]
 */
async function receive(file, target, answer, { signal }, onChunk) {
  let at = 0;
  for await (const chunk of chunks(answer, file, signal)) {
    if (at + chunk.length <= target.length) target.set(chunk, at);
    at += chunk.length;
    onChunk?.(chunk.length);
  }
  if (at !== file.bytes) {
    const rule = `${file.file} must have ${file.bytes} bytes`;
    throw new WebconvError('integrity', `${rule}, but ${at} came`);
  }
  if (canDigest()) {
    const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', target));
    const hex = Array.from(digest, (byte) => byte.toString(16).padStart(2, '0')).join('');
    if (hex !== file.digest) {
      throw new WebconvError('integrity', `${file.file} was altered: its SHA-256 is ${hex}`);
    }
  }
}

/**
 * @param {Promise<Answer>} answer
 * @param {BundleFile} file
 * @param {AbortSignal} [signal]
 * @returns {AsyncGenerator<Uint8Array>}
 */
async function* chunks(answer, { file }, signal) {
  try {
    const found = await answer;
    if (found instanceof Uint8Array) {
      yield found;
      return;
    }
    if (!found.ok) throw new Error(`HTTP ${found.status}`);
    const reader = found.body?.getReader();
    if (!reader) yield new Uint8Array(await found.arrayBuffer());
    for (let part = await reader?.read(); part?.value; part = await reader?.read())
      yield part.value;
  } catch (cause) {
    const code = signal?.aborted ? 'aborted' : 'network';
    throw new WebconvError(code, `${file}: ${/** @type {Error} */ (cause).message}`, { cause });
  }
}

/**
 * Asks for a file. That it fails is seen by whoever reads the answer.
 * @param {BundleFile} file
 * @param {LoadOptions} options
 * @returns {Promise<Answer>}
 */
function request({ file, url }, { resolve, fetch: fetchWith, signal }) {
  const ask = async () => {
    const address = String(resolve?.(file, url) ?? url);
    if (address.startsWith('data:')) {
      // What bundlers make of small files; a strict CSP would not let it be fetched.
      return Uint8Array.from(atob(address.slice(address.indexOf(',') + 1)), (c) => c.charCodeAt(0));
    }
    if (address.startsWith('file:') && !fetchWith) return readLocal(address);
    return (fetchWith ?? fetch)(address, { signal });
  };
  const answer = ask();
  answer.catch(() => {});
  return answer;
}

/**
 * Reads a file in Node, whose `fetch` knows no `file:`. Bundlers are to leave the import alone.
 * @param {string} address
 * @returns {Promise<Uint8Array>}
 */
async function readLocal(address) {
  const name = 'node:fs/promises';
  const { readFile } = await import(/* webpackIgnore: true */ /* @vite-ignore */ name);
  return readFile(new URL(address));
}
