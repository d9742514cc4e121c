import assert from 'node:assert/strict';
import { test } from 'node:test';

import { argmax } from '../../runtime_js/src/argmax.js';
import { refuseSoftware } from '../../runtime_js/src/adapter.js';
import { getAvailability } from '../../runtime_js/src/availability.js';
import { bindSizes } from '../../runtime_js/src/shape.js';
import { fromStorage, parseData, toStorage } from '../../runtime_js/src/tensor.js';
import { failure, tensor } from './fake.js';

const x = (dtype, more) => tensor('x', dtype, [], more);
const read = (data, dtype, Storage, more) => [
  ...toStorage(parseData('x', data).data, x(dtype, more), Storage),
];

test('numbers of every kind become the storage type', () => {
  assert.deepEqual(read([1, 2.5], 'f32', Float32Array), [1, 2.5]);
  assert.deepEqual(read([true, false], 'bool', Int32Array), [1, 0]);
  assert.deepEqual(read(new Float64Array([3, -4]), 'i32', Int32Array), [3, -4]);
  assert.deepEqual(read(new BigInt64Array([5n, -6n]), 'i64', Int32Array), [5, -6]);
  assert.deepEqual(read(new BigInt64Array([5n]), 'f32', Float32Array), [5]);
  assert.deepEqual(read([7, -8], 'i64', BigInt64Array), [7n, -8n]);
  assert.deepEqual(read([7, 8n], 'u64', BigUint64Array), [7n, 8n]);
  assert.deepEqual(read(new Uint8Array([255]), 'u8', Int32Array), [255]);
  assert.deepEqual(read([NaN, -Infinity], 'f32', Float32Array), [NaN, -Infinity]);
  assert.deepEqual(read([], 'f32', Float32Array), []);
});

test('the storage is a copy', () => {
  const data = new Float32Array([1]);
  const stored = toStorage(data, x('f32'), Float32Array);
  data[0] = 2;
  assert.equal(stored[0], 1);
});

for (const [dtype, data, code] of [
  ['i32', [0.5], 'dtype'],
  ['i32', ['1'], 'dtype'],
  ['f32', ['1'], 'dtype'],
  ['f32', [undefined], 'dtype'],
  ['i32', [NaN], 'dtype'],
  ['i32', [2 ** 31], 'range'],
  ['i64', [2n ** 31n], 'range'],
  ['u32', [-1], 'range'],
  ['u8', [256], 'range'],
  ['i8', [-129], 'range'],
  ['bool', [2], 'range'],
]) {
  test(`${dtype} refuses ${typeof data[0]} ${data[0]} by ${code}`, () => {
    assert.throws(() => read([0, ...data], dtype, Int32Array), failure(code, /number 1 is/));
  });
}

test('ids must lie in the vocabulary', () => {
  assert.deepEqual(read([0, 9], 'i32', Int32Array, { vocabulary: 10 }), [0, 9]);
  for (const id of [10, -1]) {
    const message = /'x' \(i32\): ids must lie in \[0, 10\), but number 0 is/;
    assert.throws(
      () => read([id], 'i32', Int32Array, { vocabulary: 10 }),
      failure('vocabulary', message),
    );
  }
});

test('nested data gives the shape', () => {
  assert.deepEqual(
    parseData('x', [
      [1, 2, 3],
      [4, 5, 6],
    ]),
    { data: [1, 2, 3, 4, 5, 6], shape: [2, 3] },
  );
  assert.deepEqual(parseData('x', [new Float32Array(2), new Float32Array(2)]).shape, [2, 2]);
  assert.deepEqual(parseData('x', [[], []]), { data: [], shape: [2, 0] });
  assert.deepEqual(parseData('x', 5), { data: [5], shape: [] });
  assert.deepEqual(parseData('x', { data: [1, 2], shape: [2, 1] }), {
    data: [1, 2],
    shape: [2, 1],
  });
  assert.equal(parseData('x', [1, 2]).shape, undefined);
  assert.throws(
    () => parseData('x', [[1, 2], [3]]),
    failure('shape', /equally long, here 2, but one is 1/),
  );
  assert.throws(() => parseData('x', [[1], 2]), failure('shape'));
});

for (const data of ['text', {}, null, undefined, () => 1, new DataView(new ArrayBuffer(4))]) {
  test(`${String(data)} is no data`, () => {
    assert.throws(() => parseData('x', data), failure('dtype', /must be numbers/));
  });
}

test('what comes back has the public type', () => {
  const back = (array, dtype) => fromStorage(array, x(dtype));
  assert.deepEqual(back(new BigInt64Array([-5n]), 'i64'), new Int32Array([-5]));
  assert.deepEqual(back(new Int32Array([1, 0]), 'bool'), new Uint8Array([1, 0]));
  assert.deepEqual(back(new Int32Array([-3]), 'i8'), new Int8Array([-3]));
  assert.deepEqual(back(new BigUint64Array([5n]), 'u64'), new Uint32Array([5]));
  const same = new Float32Array([1]);
  assert.equal(back(same, 'f64'), same);
  assert.throws(() => back(new BigInt64Array([2n ** 31n]), 'i64'), failure('range', /32 bits/));
});

const entry = (...inputs) => ({
  symbols: ['batch', 'time'],
  inputs: inputs.map((shape, i) => tensor(`x${i}`, 'f32', shape)),
  outputs: [],
  guards: [],
});
const bind = (type, given, sizes = {}) => ({
  ...bindSizes(
    type,
    given.map(([length, shape]) => ({ data: { length }, shape })),
    { ...sizes },
  ),
});

test('sizes come from shapes, or from the length where one is open', () => {
  assert.deepEqual(bind(entry(['batch', 'time']), [[6, [2, 3]]]), { batch: 2, time: 3 });
  assert.deepEqual(bind(entry(['batch', 'time']), [[6]]), { batch: 1, time: 6 });
  assert.deepEqual(bind(entry(['batch', 4]), [[8]]), { batch: 2, time: 1 });
  assert.deepEqual(bind(entry([3, 'time', 4]), [[24]]), { batch: 1, time: 2 });
  assert.deepEqual(bind(entry(['batch', 'time']), [[6]], { batch: 3 }), { batch: 3, time: 2 });
  assert.deepEqual(bind(entry(['batch', 'time'], ['batch', 2]), [[6], [4, [2, 2]]]), {
    batch: 2,
    time: 3,
  });
  assert.deepEqual(bind(entry(['batch', 'time']), [[0, [0, 5]]]), { batch: 0, time: 5 });
  assert.deepEqual(bind(entry([(s) => s.time + 1, 'time']), [[6, [3, 2]]]), { batch: 1, time: 2 });
});

for (const [shapes, given, code, message] of [
  [
    [['batch', 4]],
    [[7]],
    'shape',
    /'x0' must have shape \[batch, 4\], but 7 elements are no multiple of 4/,
  ],
  [[['batch', 4]], [[8, [2, 5]]], 'shape', /\[2, 4\].*\[2, 5\]/],
  [[['batch', 4]], [[8, [8]]], 'shape', /has \[8\]/],
  [[['batch', 4]], [[7, [2, 4]]], 'shape', /7 elements/],
  [[['batch', 4]], [[4, [-1, 4]]], 'shape', /-1/],
  [
    [['batch'], ['batch']],
    [
      [2, [2]],
      [3, [3]],
    ],
    'shape',
    /'x1'/,
  ],
  [[['batch', 'time', 'width']], [[8]], 'shape-ambiguous', /\{ data, shape: \[1, time, width\] \}/],
  [[['time', 'time']], [[4]], 'shape-ambiguous', /time/],
  [[['time', 0]], [[0]], 'shape-ambiguous', /time/],
]) {
  test(`shapes ${JSON.stringify(shapes)} refuse ${JSON.stringify(given)} by ${code}`, () => {
    assert.throws(() => bind(entry(...shapes), given), failure(code, message));
  });
}

test('guards and too small inputs are refused', () => {
  const guarded = { ...entry(['batch', 'time']), guards: [['time', (s) => 2 * s.batch]] };
  assert.deepEqual(bind(guarded, [[8, [2, 4]]]), { batch: 2, time: 4 });
  assert.throws(
    () => bind(guarded, [[6, [2, 3]]]),
    failure('shape', /^time = 3 must equal 2 \* batch = 4$/),
  );
  const cut = { ...entry(['batch', 'time']), guards: [[(s) => Math.min(s.time - 2, 0), 0]] };
  assert.deepEqual(bind(cut, [[4, [2, 2]]]), { batch: 2, time: 2 });
  assert.throws(
    () => bind(cut, [[2, [2, 1]]]),
    failure(
      'shape',
      /slice or window would leave its tensor: 'x\d?' has shape \[2, 1\], .*time - 2.* = -1/,
    ),
  );
  const small = { ...entry(['batch', 'time']), outputs: [tensor('y', 'f32', [(s) => s.time - 2])] };
  assert.throws(() => bind(small, [[1, [1, 1]]]), failure('shape', /too small: .*'y'.*\[-1\]/));
});

test('argmax gives the positions of the largest', () => {
  assert.deepEqual(argmax([1, 5, 3]), [1]);
  assert.deepEqual(argmax(new Float32Array([1, 5, 3, 5]), 3), [1, 3, 2]);
  assert.deepEqual(argmax([], 2), []);
});

test('software adapters are refused unless allowed', () => {
  assert.throws(
    () => refuseSoftware('Google SwiftShader', {}),
    failure('no-backend', /allowSoftware/),
  );
  assert.throws(() => refuseSoftware('x', {}, true), failure('no-backend'));
  refuseSoftware('SwiftShader', { allowSoftware: true }, true);
  refuseSoftware('NVIDIA', {});
});

test('availability asks for interfaces alone', () => {
  const { status, defaultOrder } = getAvailability(['webgpu', 'wasm', 'webgl']);
  assert.deepEqual([status, defaultOrder], [{ webgpu: false, wasm: true, webgl: false }, ['wasm']]);
});
