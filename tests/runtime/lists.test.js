import assert from 'node:assert/strict';
import { test } from 'node:test';

import { ListEntry } from '../../runtime_js/src/lists.js';
import { failure, fakeModel, open, tensor } from './fake.js';

/** A model of a list of rows of two numbers, a plain input behind it, and a list as output. */
function listModel(changes = {}) {
  return fakeModel({
    ListEntry,
    entries: [
      {
        name: 'main',
        symbols: ['xs_total', 'xs_count'],
        inputs: [
          tensor('xs', 'f32', ['xs_total', 2], { lengths: 1 }),
          tensor('xs_lengths', 'i32', ['xs_count']),
          tensor('scale', 'f32', []),
        ],
        outputs: [
          tensor('ys', 'f32', ['xs_total', 2], { lengths: 1 }),
          tensor('z', 'f32', ['xs_count']),
        ],
        guards: [],
        reads: [],
        writes: [],
        ...changes,
      },
    ],
  });
}

/** A list of sequences of ids below 10. */
const wordModel = () =>
  listModel({
    inputs: [
      tensor('xs', 'i32', ['xs_total'], { lengths: 1, vocabulary: 10 }),
      tensor('xs_lengths', 'i32', ['xs_count']),
    ],
    outputs: [tensor('ys', 'i32', ['xs_total'], { lengths: 1 })],
  });

/** Two lists whose sequences are as long as each other. */
const pairModel = () =>
  listModel({
    inputs: [
      tensor('xs', 'f32', ['xs_total', 2], { lengths: 1 }),
      tensor('xs_lengths', 'i32', ['xs_count']),
      tensor('marks', 'f32', ['xs_total'], { lengths: 1 }),
    ],
  });

const shown = (list) => list.map(({ data, shape }) => [[...data], shape]);
const DOUBLED = [
  [
    [2, 4],
    [1, 2],
  ],
  [
    [6, 8, 10, 12],
    [2, 2],
  ],
];

test('a list goes in and comes out as sequences of any number and lengths', async () => {
  const { runner, session } = await open(listModel());
  const { ys, z } = await runner.run({
    xs: [
      [[1, 2]],
      [
        [3, 4],
        [5, 6],
      ],
    ],
    scale: 1,
  });
  assert.deepEqual(shown(ys), DOUBLED);
  assert.equal(ys[0].dtype, 'f32');
  assert.deepEqual(z.shape, [2]);
  assert.deepEqual(session.log[0], 'bind 0 {"xs_total":3,"xs_count":2}');
  const four = await runner.run({ xs: [[1, 1], [2, 2], [3, 3], new Uint8Array(6)], scale: 1 });
  assert.deepEqual(
    four.ys.map((y) => y.shape[0]),
    [1, 1, 1, 3],
  );
});

test('a sequence is nested, flat, a typed array, or data with a shape', async () => {
  const { runner } = await open(listModel());
  for (const second of [
    [3, 4, 5, 6],
    Float32Array.of(3, 4, 5, 6),
    { data: [3, 4, 5, 6] },
    { data: Float64Array.of(3, 4, 5, 6), shape: [2, 2] },
  ]) {
    assert.deepEqual(shown((await runner.run({ xs: [[1, 2], second], scale: 1 })).ys), DOUBLED);
  }
});

test('set, run and toActual know lists', async () => {
  const { runner } = await open(listModel());
  assert.deepEqual(
    runner.inputs.map(({ name, shape, list }) => [name, shape, Boolean(list)]),
    [
      ['xs', ['length', 2], true],
      ['scale', [], false],
    ],
  );
  assert.deepEqual(runner.outputs[0].shape, ['length', 2]);
  assert.throws(() => runner.outputs[0].toActual(), failure('unsupported', /'ys' was not fetched/));
  await assert.rejects(runner.run(), failure('input-name', /input 'xs' is missing/));
  runner.inputs[0].set([
    [1, 2],
    [3, 4, 5, 6],
  ]);
  runner.inputs[1].set(1);
  const { ys } = await runner.run();
  assert.deepEqual(shown(ys), DOUBLED);
  const actual = runner.outputs[0].toActual();
  assert.deepEqual(
    actual.map((x) => [...x]),
    [
      [2, 4],
      [6, 8, 10, 12],
    ],
  );
  actual[0][0] = 100;
  ys[0].data[1] = 100;
  assert.deepEqual([...runner.outputs[0].toActual()[0]], [2, 4]);
  await runner.run(undefined, { fetch: ['z'] });
  assert.throws(() => runner.outputs[0].toActual(), failure('unsupported'));
});

test('sequences are copied when run is called, also those of runs that wait', async () => {
  const { runner } = await open(listModel());
  const data = Float32Array.of(1, 2);
  const xs = [data];
  const first = runner.run({ xs, scale: 1 });
  xs.push(Float32Array.of(7, 7));
  data.fill(50);
  const second = runner.run({ xs, scale: 1 });
  xs.length = 0;
  assert.deepEqual(shown((await first).ys), [[[2, 4], [1, 2]]]); // prettier-ignore
  assert.deepEqual(
    (await second).ys.map((y) => [...y.data]),
    [
      [100, 100],
      [14, 14],
    ],
  );
});

test('a list may come packed, with lengths that fit', async () => {
  const { runner } = await open(listModel());
  const xs = { data: [1, 2, 3, 4, 5, 6], shape: [3, 2] };
  const scale = 1;
  assert.deepEqual(shown((await runner.run({ xs, xs_lengths: [1, 2], scale })).ys), DOUBLED);
  const flat = await runner.run({ xs: xs.data, xs_lengths: Int32Array.of(1, 2), scale });
  assert.deepEqual(shown(flat.ys), DOUBLED);
  for (const lengths of [[1, 1], [0, 3], [-1, 4], [], [3, 1]]) {
    const rule = /'xs_lengths' must be 1 or more and add up to 3 rows of 'xs'/;
    await assert.rejects(runner.run({ xs, xs_lengths: lengths, scale }), failure('shape', rule));
  }
  await assert.rejects(runner.run({ xs, xs_lengths: [1.5, 1.5], scale }), failure('dtype'));
  await assert.rejects(runner.run({ xs, scale }), failure('shape', /come with 'xs_lengths'/));
});

test('sequences may have to be longer, and outputs of other lengths than inputs', async () => {
  const [xs, lengths, scale] = listModel().entries[0].inputs;
  const total = (s) => s.xs_total - s.xs_count;
  const outputs = [tensor('ys', 'f32', [total, 2], { lengths: 1, more: -1 })];
  const inputs = [{ ...xs, least: 2 }, lengths, scale];
  const { runner } = await open(listModel({ inputs, outputs }));
  const [long, short] = [
    [
      [1, 2],
      [3, 4],
      [5, 6],
    ],
    [
      [7, 8],
      [9, 10],
    ],
  ];
  const { ys } = await runner.run({ xs: [long, short], scale: 1 });
  assert.deepEqual(
    ys.map(({ shape }) => shape),
    [
      [2, 2],
      [1, 2],
    ],
  );
  await assert.rejects(
    runner.run({ xs: [long, [[1, 2]]], scale: 1 }),
    failure('shape', /'xs\[1\]' must have shape \[length, 2\] with 2 rows or more/),
  );
  await assert.rejects(
    runner.run({ xs: [1, 2, 3, 4, 5, 6], xs_lengths: [2, 1], scale: 1 }),
    failure('shape', /'xs_lengths' must be 2 or more and add up to 3 rows/),
  );
});

for (const [what, xs, code, message] of [
  ['no list', 3, 'shape', /'xs' must be an array of sequences \[length, 2\].* it is Number/],
  ['null', null, 'shape', /it is null/],
  ['a typed array', new Float32Array(4), 'shape', /it is Float32Array/],
  ['an empty list', [], 'shape', /one or more, but it is empty/],
  ['an empty sequence', [[[1, 2]], []], 'shape', /'xs\[1\]' must have shape .* 0 elements/],
  ['no rows', [{ data: [], shape: [0, 2] }], 'shape', /'xs\[0\]'.*shape \[0, 2\] and 0 elements/],
  ['half a row', [[1, 2, 3]], 'shape', /'xs\[0\]'.* 3 elements/],
  ['a wrong row', [[1, 2], [[1, 2, 3]]], 'shape', /'xs\[1\]'.* shape \[1, 3\]/],
  ['a row less deep', [1, 2], 'shape', /'xs\[0\]' must have shape \[length, 2\].* shape \[\]/],
  ['uneven rows', [[[1, 2], [3]]], 'shape', /'xs\[0\]': rows of nested data must be equally long/],
  ['text', [[1, 2], 'ab'], 'dtype', /'xs\[1\]' must be numbers, but it is string/],
  ['text inside', [[1, 'a']], 'dtype', /'xs\[0\]' \(f32\): values must be numbers, but number 1/],
  ['a hole', [, [1, 2]], 'dtype', /'xs\[0\]' must be numbers/], // eslint-disable-line
]) {
  test(`${what} is refused, by input and position`, async () => {
    const { runner } = await open(listModel());
    await assert.rejects(runner.run({ xs, scale: 1 }), failure(code, message));
    assert.throws(() => runner.inputs[0].set(xs), failure(code, message));
  });
}

test('ids are checked in every sequence', async () => {
  const { runner } = await open(wordModel());
  const { ys } = await runner.run({ xs: [[1, 2, 3], Int32Array.of(9)] });
  assert.deepEqual(shown(ys), [
    [[2, 4, 6], [3]],
    [[18], [1]],
  ]);
  const message = /'xs\[1\]' \(i32\): ids must lie in \[0, 10\), but number 2 is 10/;
  await assert.rejects(runner.run({ xs: [[1], [2, 3, 10]] }), failure('vocabulary', message));
});

test('names of inputs are those that pages see', async () => {
  const { runner } = await open(listModel());
  const message = /no input 'y'; there are 'xs', 'scale'$/;
  await assert.rejects(runner.run({ xs: [[1, 2]], y: 1 }), failure('input-name', message));
  const missing = failure('input-name', /input 'scale' is missing/);
  await assert.rejects(runner.run({ xs: [[1, 2]] }), missing);
  const entry = runner.entry('main');
  assert.equal(entry, runner.entries[0]);
  const { ys } = await entry.run({ xs: [[1, 2]], scale: 1 }, { fetch: ['ys'] });
  assert.equal(ys.length, 1);
});

test('names that objects have are names like others', async () => {
  const model = listModel();
  for (const side of ['inputs', 'outputs']) model.entries[0][side][0].name = '__proto__';
  const { runner } = await open(model);
  const inputs = JSON.parse('{ "__proto__": [[1, 2]], "scale": 1 }');
  const [[name, list]] = Object.entries(await runner.run(inputs));
  assert.equal(name, '__proto__');
  assert.deepEqual(shown(list), [[[2, 4], [1, 2]]]); // prettier-ignore
});

test('lists that share their lengths are as long, sequence by sequence', async () => {
  const { runner } = await open(pairModel());
  const xs = [
    [1, 2],
    [3, 4, 5, 6],
  ];
  assert.deepEqual(shown((await runner.run({ xs, marks: [[1], [2, 3]] })).ys), DOUBLED);
  const rule = /'marks' must be as long as those of 'xs', \[1,2\], but they have \[2,1\] rows/;
  const marks = [[1, 2], [3]];
  await assert.rejects(runner.run({ xs, marks }), failure('shape', rule));
  const [first, second] = runner.inputs;
  second.set(marks);
  first.set(xs);
  await assert.rejects(runner.run(), failure('shape', rule));
  second.set([[1], [2, 3]]);
  assert.deepEqual(shown((await runner.run()).ys), DOUBLED);
  const packed = { xs: { data: [1, 2, 3, 4, 5, 6] }, marks: { data: [1, 2, 3] } };
  const { ys } = await runner.run({ ...packed, xs_lengths: [1, 2] });
  assert.deepEqual(shown(ys), DOUBLED);
});
