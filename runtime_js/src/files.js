// Fetches the files of a bundle, and checks that they are what the compiler wrote.

import { WebconvError } from './errors.js';

/** @import { BundleFile, LoadOptions, Model, Weights } from './types.d.ts' */

/** @typedef {(done: number) => void} OnChunk */

/**
 * The bytes of one file.
 * @param {BundleFile} file
 * @param {LoadOptions} options
 */
export async function fetchFile(file, options) {
  const bytes = new Uint8Array(file.bytes);
  await fetchInto(file, bytes, options, () => {});
  return bytes;
}

/**
 * What sessions load weights with.
 * @param {Model} model
 * @param {LoadOptions} options
 * @returns {Weights}
 */
export function openWeights({ weights }, options) {
  const total = weights.reduce((sum, file) => sum + file.bytes, 0);
  return {
    bytes: total,
    async load(place) {
      let loaded = 0;
      let offset = 0;
      const onChunk = (/** @type {number} */ n) => {
        loaded += n;
        options.onProgress?.({ phase: 'fetch', loaded, total });
      };
      await Promise.all(
        weights.map((file) => {
          const target = place(offset, file.bytes);
          offset += file.bytes;
          return fetchInto(file, target, options, onChunk);
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
 * @param {LoadOptions} options
 * @param {OnChunk} onChunk
 */
async function fetchInto(file, target, options, onChunk) {
  let at = 0;
  for await (const chunk of chunks(file, options)) {
    if (at + chunk.length <= target.length) target.set(chunk, at);
    at += chunk.length;
    onChunk(chunk.length);
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
 * @param {BundleFile} file
 * @param {LoadOptions} options
 * @returns {AsyncGenerator<Uint8Array>}
 */
async function* chunks({ file, url }, { resolve, fetch: fetchWith, signal }) {
  const address = String(resolve?.(file, url) ?? url);
  if (address.startsWith('data:')) {
    // What bundlers make of small files; a strict CSP would not let it be fetched.
    yield Uint8Array.from(atob(address.slice(address.indexOf(',') + 1)), (c) => c.charCodeAt(0));
    return;
  }
  try {
    if (address.startsWith('file:') && !fetchWith) {
      yield await readLocal(address);
      return;
    }
    const response = await (fetchWith ?? fetch)(address, { signal });
    if (!response.ok) throw new Error(`HTTP ${response.status}`);
    const reader = response.body?.getReader();
    if (!reader) yield new Uint8Array(await response.arrayBuffer());
    for (let part = await reader?.read(); part?.value; part = await reader?.read())
      yield part.value;
  } catch (cause) {
    const code = signal?.aborted ? 'aborted' : 'network';
    throw new WebconvError(code, `${file}: ${/** @type {Error} */ (cause).message}`, { cause });
  }
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
