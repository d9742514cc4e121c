import assert from 'node:assert/strict';
import { test } from 'node:test';

import { FakeSession, failure, fakeModel, open, tensor } from './fake.js';

function stateful(state = {}) {
  const model = fakeModel({
    states: [tensor('h', 'f32', ['batch', 2], { batchAxis: 0, ...state })],
  });
  Object.assign(model.entries[0], {
    symbols: ['batch'],
    inputs: [tensor('x', 'f32', ['batch', 2])],
    outputs: [tensor('y', 'f32', ['batch', 2])],
    reads: [0],
    writes: [0],
  });
  return model;
}

const run = async (runner, x) => [...(await runner.run({ x })).y.data];

test('states start at zeros, live on, and reset', async () => {
  const { runner, session } = await open(stateful());
  assert.deepEqual(await run(runner, [[1, 2]]), [2, 4]);
  assert.deepEqual(await run(runner, [[1, 2]]), [3, 6]);
  runner.states.reset();
  assert.deepEqual(await run(runner, [[1, 2]]), [2, 4]);
  const set = session.log.filter((line) => line.startsWith('setState'));
  assert.deepEqual(set, ['setState 0 [1,2] zeros', 'setState 0 [1,2] zeros']);
});

test('initial values are broadcast', async () => {
  const initial = { data: [10, 20], shape: [1, 2] };
  const { runner } = await open(stateful({ initial }));
  assert.deepEqual(
    await run(runner, [
      [0, 0],
      [1, 1],
    ]),
    [10, 20, 12, 22],
  );
});

test('save and restore, with null for the initial value', async () => {
  const { runner } = await open(stateful());
  assert.deepEqual(await runner.states.save(), { h: null });
  await run(runner, [[1, 2]]);
  const saved = await runner.states.save();
  assert.deepEqual([[...saved.h.data], saved.h.shape, saved.h.dtype], [[1, 2], [1, 2], 'f32']);
  await run(runner, [[5, 5]]);
  await runner.states.restore(saved);
  assert.deepEqual(await run(runner, [[0, 0]]), [1, 2]);
  await runner.states.restore({ h: null });
  assert.deepEqual(await run(runner, [[0, 0]]), [0, 0]);
  await runner.states.restore({
    h: [
      [3, 4],
      [5, 6],
    ],
  });
  assert.deepEqual(
    await run(runner, [
      [0, 0],
      [0, 0],
    ]),
    [3, 4, 5, 6],
  );
});

test('what restore cannot take is refused', async () => {
  const { runner } = await open(stateful());
  await assert.rejects(
    runner.states.restore({ c: [[1, 2]] }),
    failure('input-name', /no state 'c'/),
  );
  await assert.rejects(runner.states.restore({ h: [[1, 2, 3]] }), failure('shape', /'h'/));
  await assert.rejects(runner.states.restore({ h: ['a', 'b'] }), failure('dtype'));
});

test('a batch that does not fit the states is refused until they are reset', async () => {
  const { runner } = await open(stateful());
  await run(runner, [[1, 2]]);
  await assert.rejects(
    run(runner, [
      [1, 2],
      [3, 4],
    ]),
    failure('shape', /states fix batch until states\.reset/),
  );
  assert.deepEqual(await run(runner, [[1, 2]]), [3, 6]);
  await runner.states.reset();
  assert.deepEqual(
    await run(runner, [
      [1, 2],
      [3, 4],
    ]),
    [2, 4, 6, 8],
  );
});

test('select reorders rows, by the session or by copies', async () => {
  const calls = [];
  for (const own of [false, true]) {
    const model = stateful();
    const session = new FakeSession(model);
    if (own) session.selectState = (...args) => calls.push(args);
    const { runner } = await open(model, session);
    await run(runner, [
      [1, 2],
      [3, 4],
    ]);
    await runner.states.select([1, 1, 0]);
    if (own) assert.deepEqual(calls, [[0, [2, 2], 0, [1, 1, 0]]]);
    else assert.deepEqual([...session.states[0]], [3, 4, 3, 4, 1, 2]);
    await assert.rejects(runner.states.select([3]), failure('range', /\[0, 3\)/));
  }
});

test('select works along an inner axis, and needs one', async () => {
  const model = stateful({ shape: [2, 'batch', 2], batchAxis: 1 });
  const session = new FakeSession(model);
  const { runner } = await open(model, session);
  await runner.states.restore({ h: { data: [1, 2, 3, 4, 5, 6, 7, 8], shape: [2, 2, 2] } });
  await runner.states.select([1]);
  assert.deepEqual([...session.states[0]], [3, 4, 7, 8]);
  const without = await open(stateful({ batchAxis: undefined }));
  await run(without.runner, [[1, 2]]);
  await assert.rejects(without.runner.states.select([0]), failure('unsupported'));
});

test('a model without states has empty ones', async () => {
  const { runner } = await open();
  await runner.states.reset();
  assert.deepEqual(await runner.states.save(), {});
});

test('a state that a run only writes is not set before it', async () => {
  const model = stateful();
  model.entries[0].reads = [];
  const session = new FakeSession(model);
  session.states[0] = [0, 0];
  const { runner } = await open(model, session);
  await run(runner, [[1, 2]]);
  assert.deepEqual(
    session.log.filter((line) => line.startsWith('setState')),
    [],
  );
  assert.deepEqual((await runner.states.save()).h.shape, [1, 2]);
});

test('a run that fails leaves states as they were', async () => {
  const model = stateful();
  const session = new FakeSession(model);
  const { runner } = await open(model, session);
  const { run: sound } = session;
  session.run = async () => {
    throw new Error('broken');
  };
  await assert.rejects(run(runner, [[1, 2]]), /broken/);
  session.run = sound;
  const both = [
    [1, 2],
    [3, 4],
  ];
  assert.deepEqual(await run(runner, both), [2, 4, 6, 8]);
});

test('a size that no state and no input tells is asked for', async () => {
  const model = stateful({ shape: ['batch', 'time'] });
  const { runner } = await open(model);
  await assert.rejects(
    run(runner, [[1, 2]]),
    failure('shape', /'h' holds nothing yet, so no run can tell time; run an entry that writes/),
  );
  await runner.states.restore({ h: [[5, 6]] });
  assert.deepEqual(await run(runner, [[1, 2]]), [7, 10]);
});

test('select is refused where it makes no sense', async () => {
  const { runner } = await open(stateful());
  for (const rows of [[-1], [0.5], [NaN], ['0']]) {
    await assert.rejects(runner.states.select(rows), failure('range'));
  }
  await assert.rejects(runner.states.select(1), failure('dtype', /must be a list/));
  await assert.rejects(runner.states.select(), failure('dtype'));
  const fixed = await open(stateful({ shape: [2, 2] }));
  await fixed.runner.states.restore({
    h: [
      [1, 2],
      [3, 4],
    ],
  });
  await fixed.runner.states.select([1, 1]);
  assert.deepEqual([...(await fixed.runner.states.save()).h.data], [3, 4, 3, 4]);
  await assert.rejects(fixed.runner.states.select([0]), failure('shape', /always has 2 rows/));
});

test('select leaves a state alone that all rows have together', async () => {
  const { runner } = await open(stateful({ shape: [2], batchAxis: null }));
  await runner.states.restore({ h: [1, 2] });
  await runner.states.select([3, 0, 0]);
  assert.deepEqual([...(await runner.states.save()).h.data], [1, 2]);
});
