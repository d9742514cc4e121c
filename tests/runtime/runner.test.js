import assert from 'node:assert/strict';
import { test } from 'node:test';

import { WebconvError } from '../../runtime_js/src/errors.js';
import { openModel } from '../../runtime_js/src/runner.js';
import { FakeSession, failure, fakeModel, open, tensor } from './fake.js';

test('run gives fetched outputs with data, shape and dtype', async () => {
  const { runner } = await open();
  const { y, n } = await runner.run({ x: [[1, 2, 3]] });
  assert.deepEqual([...y.data], [2, 4, 6]);
  assert.deepEqual([y.shape, y.dtype], [[1, 3], 'f32']);
  assert.ok(n.data instanceof Int32Array);
  assert.deepEqual([[...n.data], n.shape], [[7], []]);
});

test('only fetched outputs are read back, in the order asked for', async () => {
  const { runner, session } = await open();
  assert.deepEqual(Object.keys(await runner.run({ x: [[1]] }, { fetch: ['n'] })), ['n']);
  assert.deepEqual(Object.keys(await runner.run({ x: [[1]] }, { fetch: ['n', 'y'] })), ['n', 'y']);
  assert.deepEqual(
    session.log.filter((line) => line.startsWith('run')),
    ['run 1', 'run 1,0'],
  );
  await runner.run({ x: [[1]] }, { fetch: 'n' });
  assert.throws(() => runner.outputs[0].toActual(), failure('unsupported'));
});

test('the calls of the WebDNN tutorial work, and toActual gives a fresh array', async () => {
  const { runner } = await open();
  runner.inputs[0].set([[1, 2]]);
  await runner.run();
  const actual = runner.outputs[0].toActual();
  assert.deepEqual([...actual], [2, 4]);
  actual[0] = 100;
  assert.deepEqual([...runner.outputs[0].toActual()], [2, 4]);
  assert.throws(() => runner.getInputViews(), failure('unsupported', /runner\.inputs/));
  assert.throws(() => runner.getOutputViews(), failure('unsupported', /toActual/));
});

test('results and toActual do not share memory', async () => {
  const { runner } = await open();
  const { y } = await runner.run({ x: [[1]] });
  y.data[0] = 100;
  assert.equal(runner.outputs[0].toActual()[0], 2);
});

test('toActual before any run says so', async () => {
  const { runner } = await open();
  assert.throws(() => runner.outputs[0].toActual(), failure('unsupported', /'y' was not fetched/));
});

test('calls queue, and run copies its inputs at once', async () => {
  const { runner } = await open();
  const data = new Float32Array([1, 2]);
  const first = runner.run({ x: { data, shape: [1, 2] } });
  data.fill(50);
  const second = runner.run({ x: { data, shape: [1, 2] } });
  data.fill(0);
  const results = await Promise.all([second, first]);
  assert.deepEqual(
    results.map(({ y }) => [...y.data]),
    [
      [100, 100],
      [2, 4],
    ],
  );
});

test('a plan is made once for each size', async () => {
  const { runner, session } = await open();
  for (const length of [2, 3, 2, 3, 2]) await runner.run({ x: [Array(length).fill(1)] });
  const bound = session.log.filter((line) => line.startsWith('bind'));
  assert.deepEqual(bound, ['bind 0 {"batch":1,"time":2}', 'bind 0 {"batch":1,"time":3}']);
});

test('plans are limited, the one unused for longest goes', async () => {
  const released = [];
  const model = fakeModel();
  const session = new FakeSession(model, { release: (plan) => released.push(plan.counts[0]) });
  const { runner } = await open(model, session);
  for (let n = 1; n <= 64; n++) await runner.run({ x: [Array(n).fill(1)] });
  await runner.run({ x: [[1]] });
  assert.deepEqual(released, []);
  await runner.run({ x: [Array(65).fill(1)] });
  assert.deepEqual(released, [2]);
});

test('names that are wrong or missing are refused, and the runner stays usable', async () => {
  const { runner } = await open();
  await assert.rejects(
    runner.run({ z: [[1]] }),
    failure('input-name', /no input 'z'; there are 'x'/),
  );
  await assert.rejects(runner.run({}), failure('input-name', /'x' is missing/));
  await assert.rejects(runner.run(), failure('input-name', /'x' is missing/));
  await assert.rejects(
    runner.run({ x: [[1]] }, { fetch: ['z'] }),
    failure('input-name', /output 'z'/),
  );
  assert.throws(() => runner.entry('step'), failure('input-name', /no entry 'step'/));
  assert.equal((await runner.run({ x: [[4]] })).y.data[0], 8);
});

test("names of objects' own machinery are names like any other", async () => {
  const model = fakeModel();
  model.entries[0].inputs[0].name = '__proto__';
  model.entries[0].outputs[0].name = '__proto__';
  model.entries[0].outputs[1].name = 'constructor';
  const { runner } = await open(model);
  const outputs = await runner.run({ ['__proto__']: [[1]] });
  assert.deepEqual(Object.keys(outputs), ['__proto__', 'constructor']);
  await assert.rejects(runner.run({}), failure('input-name', /'__proto__' is missing/));
});

test('a run that fails harms no other', async () => {
  const model = fakeModel();
  const session = new FakeSession(model);
  const { runner } = await open(model, session);
  const run = session.run;
  session.run = async () => {
    throw new WebconvError('out-of-memory', 'no');
  };
  const failed = runner.run({ x: [[1]] });
  await assert.rejects(failed, failure('out-of-memory'));
  session.run = run;
  assert.equal((await runner.run({ x: [[1]] })).y.data[0], 2);
});

test('dispose ends everything after the call under way, and again is fine', async () => {
  const { runner, session } = await open();
  const running = runner.run({ x: [[1]] });
  await new Promise((resolve) => setImmediate(resolve));
  const disposing = runner.dispose();
  const late = runner.run({ x: [[1]] });
  await assert.rejects(late, failure('disposed'));
  assert.equal((await running).y.data[0], 2);
  await disposing;
  await runner.dispose();
  assert.equal(session.log.filter((line) => line === 'dispose').length, 1);
  await assert.rejects(
    runner.states.save().then(() => runner.run()),
    failure('disposed'),
  );
});

test('await using disposes', async () => {
  const { runner, session } = await open();
  await runner[Symbol.asyncDispose]();
  assert.equal(session.log.at(-1), 'dispose');
});

test('a signal aborts runs that wait, and loading', async () => {
  const { runner } = await open();
  const control = new AbortController();
  const running = runner.run({ x: [[1]] });
  const waiting = runner.run({ x: [[2]] }, { signal: control.signal });
  control.abort();
  await assert.rejects(waiting, failure('aborted'));
  await running;
  await assert.rejects(runner.run({ x: [[2]] }, { signal: control.signal }), failure('aborted'));
  await assert.rejects(
    open(fakeModel(), undefined, { signal: control.signal }),
    failure('aborted'),
  );
});

test('the next backend is tried and the report says what was', async () => {
  const model = fakeModel({ backends: ['webgpu', 'webgl', 'wasm'] });
  const refuse = (code, reason) => async () => [
    { createSession: () => Promise.reject(new WebconvError(code, reason)) },
    { files: {} },
  ];
  const backends = {
    webgpu: refuse('no-backend', 'no adapter'),
    webgl: refuse('context-lost', 'gone'),
    wasm: async () => [{ createSession: async () => new FakeSession(model) }, { files: {} }],
  };
  const { report } = await openModel(model, backends);
  assert.equal(report.backend, 'wasm');
  assert.deepEqual(report.tried, [
    { backend: 'webgpu', code: 'no-backend', reason: 'no adapter' },
    { backend: 'webgl', code: 'context-lost', reason: 'gone' },
  ]);
  assert.ok(report.loadMs >= 0);
  await assert.rejects(
    openModel(model, backends, { backendOrder: ['webgl', 'webgpu'] }),
    failure('no-backend', /webgl: gone; webgpu: no adapter/),
  );
  assert.equal((await openModel(model, backends, { backendOrder: 'wasm' })).report.tried.length, 0);
  await assert.rejects(
    openModel(model, { wasm: backends.wasm }, { backendOrder: ['webgpu'] }),
    failure('no-backend', /made without it: \w/),
  );
});

test('what no other backend would mend ends loading', async () => {
  const model = fakeModel({ backends: ['webgpu', 'wasm'] });
  for (const code of ['integrity', 'network']) {
    const createSession = () => Promise.reject(new WebconvError(code, 'weights'));
    const backends = {
      webgpu: async () => [{ createSession }, { files: {} }],
      wasm: async () => assert.fail('it was tried'),
    };
    await assert.rejects(openModel(model, backends), failure(code));
  }
});

test('several entries share a session', async () => {
  const model = fakeModel();
  const step = { ...model.entries[0], name: 'step', inputs: [tensor('z', 'f32', ['batch'])] };
  step.outputs = [tensor('w', 'f32', ['batch'])];
  step.symbols = ['batch'];
  model.entries.push(step);
  const { runner } = await open(model);
  assert.deepEqual([...(await runner.entry('step').run({ z: [1, 2] })).w.data], [2, 4]);
  assert.deepEqual([...(await runner.entry('main').run({ x: [[5]] })).y.data], [10]);
});

test('stats are a snapshot', async () => {
  const { runner } = await open();
  const before = runner.stats;
  await runner.run({ x: [[1]] });
  assert.deepEqual([before.runs, runner.stats.runs], [0, 1]);
});
