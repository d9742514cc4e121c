/**
 * Opens two runtimes in one page and times them in turns.
 *
 * @import { Choice, Side, Tensor } from './sides.js'
 *
 * @typedef {object} Plan
 * @property {Choice[]} choices the sides, one or two
 * @property {string} inputs where the inputs lie
 * @property {number} rounds
 * @property {number} sampleMs how long one sample should take, in which a side runs many times
 * @property {number} warmMs how long each side runs before anything is timed
 *
 * @typedef {object} Measured
 * @property {number[]} samples milliseconds per run, one for each round
 * @property {number} repeats runs in a sample
 * @property {Float32Array} output all outputs, joined
 * @property {any} report
 * @property {Record<string, number>} loading GPU calls until the first result
 * @property {Record<string, number>} running GPU calls of a later run
 */
import { count } from './counters.js';
import { joined, open, read } from './sides.js';

/** Runs that a warm-up has at least: the first compiles, the second may settle buffers. */
const WARM_RUNS = 3;

/**
 * @param {Plan} plan
 * @returns {Promise<Measured[]>}
 */
export async function measure({ choices, inputs, rounds, sampleMs, warmMs }) {
  const feeds = await read(inputs);
  const opened = [];
  for (const choice of choices) opened.push(await prepare(choice, feeds, warmMs, sampleMs));
  /** @type {number[][]} */
  const samples = opened.map(() => []);
  for (let round = 0; round < rounds; round++) {
    // AB, BA, AB, ...: a machine that slows down steadily then slows both sides alike.
    const order = opened.map((_, index) => (round % 2 ? opened.length - 1 - index : index));
    for (const index of order) {
      samples[index].push(await sample(opened[index].side, opened[index].measured.repeats));
    }
  }
  for (const { side } of opened) await side.dispose();
  return opened.map(({ measured }, index) => ({ ...measured, samples: samples[index] }));
}

/**
 * Opens and warms a side, and counts what it asks of the GPU.
 *
 * @param {Choice} choice
 * @param {Tensor[]} feeds
 * @param {number} warmMs
 * @param {number} sampleMs
 * @returns {Promise<{ side: Side, measured: Omit<Measured, 'samples'> }>}
 */
async function prepare(choice, feeds, warmMs, sampleMs) {
  const counters = count();
  const side = await open(choice, feeds);
  await side.run();
  const loading = counters.take();
  await side.run();
  counters.take();
  const output = joined(await side.run());
  const running = counters.take();
  counters.stop();
  const perRun = await warm(side, warmMs);
  const repeats = Math.max(1, Math.round(sampleMs / perRun));
  return { side, measured: { repeats, output, report: side.report, loading, running } };
}

/**
 * Runs until the engine has compiled for speed, and gives the milliseconds of the fastest run.
 *
 * @param {Side} side
 * @param {number} warmMs
 */
async function warm(side, warmMs) {
  const end = performance.now() + warmMs;
  let runs = 0;
  let fastest = Infinity;
  while (runs < WARM_RUNS || performance.now() < end) {
    // Single runs may be shorter than the clock's grain.
    const batch = fastest < 1 ? 16 : 1;
    fastest = Math.min(fastest, Math.max(await sample(side, batch), 1e-3));
    runs += batch;
  }
  return fastest;
}

/**
 * @param {Side} side
 * @param {number} repeats
 * @returns {Promise<number>} milliseconds per run
 */
async function sample(side, repeats) {
  const start = performance.now();
  for (let i = 0; i < repeats; i++) await side.run();
  return (performance.now() - start) / repeats;
}
