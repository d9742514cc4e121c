import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { mkdtemp, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { test } from 'node:test';

import { fetchFile, openWeights } from '../../runtime_js/src/files.js';
import { failure } from './fake.js';

const digest = (bytes) => createHash('sha256').update(bytes).digest('hex');
const bytes = Uint8Array.from({ length: 1000 }, (_, i) => i % 251);

function file(name, data = bytes) {
  const url = new URL(`http://127.0.0.1/${name}`);
  return { file: name, url, bytes: data.length, digest: digest(data) };
}

/** Answers with `data` in pieces. */
const serving =
  (data, status = 200) =>
  async () => {
    const pieces = [data.subarray(0, 300), data.subarray(300)].filter((piece) => piece.length);
    const stream = new ReadableStream({
      pull(controller) {
        if (pieces.length) controller.enqueue(pieces.shift());
        else controller.close();
      },
    });
    return new Response(stream, { status });
  };

test('files stream into place, with progress', async () => {
  const events = [];
  const model = { weights: [file('a', bytes.subarray(0, 400)), file('b', bytes.subarray(400))] };
  const options = {
    fetch: (address) =>
      serving(address.endsWith('a') ? bytes.subarray(0, 400) : bytes.subarray(400))(),
    onProgress: (event) => events.push(event),
  };
  const weights = openWeights(model, options);
  assert.equal(weights.bytes, 1000);
  const memory = new Uint8Array(1000);
  const places = [];
  await weights.load((offset, length) => {
    places.push([offset, length]);
    return memory.subarray(offset, offset + length);
  });
  assert.deepEqual(places, [
    [0, 400],
    [400, 600],
  ]);
  assert.deepEqual(memory, bytes);
  assert.deepEqual(events.at(-1), { phase: 'fetch', loaded: 1000, total: 1000 });
  assert.ok(events.every((event, i) => !i || event.loaded > events[i - 1].loaded));
});

for (const [what, data, code, message] of [
  ['cut short', bytes.subarray(0, 999), 'integrity', /w must have 1000 bytes, but 999 came/],
  ['too long', new Uint8Array(1001), 'integrity', /1000 bytes/],
  ['altered', bytes.map((x, i) => (i === 500 ? x ^ 1 : x)), 'integrity', /w was altered/],
]) {
  test(`a file that is ${what} is refused`, async () => {
    await assert.rejects(fetchFile(file('w'), { fetch: serving(data) }), failure(code, message));
  });
}

test('a server that refuses, and none at all, are network errors', async () => {
  await assert.rejects(
    fetchFile(file('w'), { fetch: serving(bytes, 404) }),
    failure('network', /w: HTTP 404/),
  );
  const none = () => Promise.reject(new TypeError('no route'));
  await assert.rejects(fetchFile(file('w'), { fetch: none }), failure('network', /no route/));
});

test('a signal aborts', async () => {
  const control = new AbortController();
  control.abort();
  const fetchWith = (_, { signal }) =>
    signal.aborted ? Promise.reject(signal.reason) : serving(bytes)();
  const options = { fetch: fetchWith, signal: control.signal };
  await assert.rejects(fetchFile(file('w'), options), failure('aborted'));
});

test('resolve gives another address', async () => {
  const asked = [];
  const options = {
    resolve: (name, url) => `https://cdn.test${url.pathname}?${name}`,
    fetch: (address) => (asked.push(address), serving(bytes)()),
  };
  assert.deepEqual(await fetchFile(file('w'), options), bytes);
  assert.deepEqual(asked, ['https://cdn.test/w?w']);
});

test('data: URLs are decoded without fetch', async () => {
  const url = new URL(
    `data:application/octet-stream;base64,${Buffer.from(bytes).toString('base64')}`,
  );
  const fetchWith = () => assert.fail('it was fetched');
  assert.deepEqual(await fetchFile({ ...file('w'), url }, { fetch: fetchWith }), bytes);
});

test('Node reads file: URLs', async () => {
  const path = join(await mkdtemp(join(tmpdir(), 'webconv-')), 'w.bin');
  await writeFile(path, bytes);
  assert.deepEqual(await fetchFile({ ...file('w'), url: pathToFileURL(path) }, {}), bytes);
  const gone = { ...file('w'), url: pathToFileURL(`${path}.gone`) };
  await assert.rejects(fetchFile(gone, {}), failure('network', /ENOENT/));
});

test('without digests the length counts', async () => {
  const subtle = Object.getOwnPropertyDescriptor(globalThis, 'crypto');
  Object.defineProperty(globalThis, 'crypto', { value: {}, configurable: true });
  try {
    const altered = bytes.map((x) => x ^ 1);
    assert.deepEqual(await fetchFile(file('w'), { fetch: serving(altered) }), altered);
    const short = serving(bytes.subarray(1));
    await assert.rejects(fetchFile(file('w'), { fetch: short }), failure('integrity'));
  } finally {
    Object.defineProperty(globalThis, 'crypto', subtle);
  }
});
