// Runs a model on WebGPU: one command encoder, one compute pass and one submit per run.
//
// Buffers belong to the session and grow to the largest sizes seen; plans hold what is computed
// from sizes, and bind groups, which are made again only after a buffer grew.

import { refuseSoftware } from './adapter.js';
import { WebconvError } from './errors.js';
import { count, size } from './shape.js';

/** @import { LoadOptions, Session, SessionContext, Sizes, TypedArray } from './types.d.ts' */

/**
 * A dispatch: its shader, the number of workgroups, and what it binds.
 * @typedef {[shader: number, workgroups: import('./types.d.ts').Dim, binds: Resource[]]} Dispatch
 * @typedef {{ index: string, count: import('./types.d.ts').Dim, body: Step[] }} Repeat
 * @typedef {Dispatch | Repeat} Step
 *
 * What a shader binds: a slot, an input, a state as it was, a state as it will be, or weights.
 * @typedef {['slot' | 'input' | 'state' | 'next', number]
 *   | ['weights', buffer: number, offset: number, size: number]} Resource
 *
 * @typedef {object} EntrySection
 * @property {string[]} symbols the first members of the uniform block
 * @property {number} loops the number of loop indices that follow them
 * @property {(sizes: Sizes) => number[]} slots elements of each slot
 * @property {(sizes: Sizes) => number[]} inputs elements of each input
 * @property {number[]} outputs the slot of each output
 * @property {(sizes: Sizes) => number[]} lengths elements of each output
 * @property {Step[]} steps
 *
 * @typedef {object} Section
 * @property {number[]} weights where each GPU buffer of weights ends
 * @property {{ code: string, binds: string }[]} shaders `binds` has a letter per binding
 * @property {EntrySection[]} entries
 *
 * @typedef {{ step: Dispatch, groups: number, offset: number }} Planned
 * @typedef {{ buffers: GPUBuffer[], now: number, bytes: number }} State
 */

/** What dynamic offsets of uniform blocks are multiples of. */
const ROW = 256;
/** Workgroups in a dispatch; shaders do what is left in turns. */
const MOST_GROUPS = 65535;

const LAYOUT_TYPES = /** @type {const} */ ({ r: 'read-only-storage', w: 'storage' });

/** @type {import('./types.d.ts').CreateSession} */
export async function createSession(context) {
  const { device, adapter } = await openDevice(context.options);
  const session = new WebgpuSession(context, device, adapter);
  try {
    await session.load(context);
  } catch (error) {
    session.dispose();
    throw error;
  }
  return session;
}

/** @param {LoadOptions} options */
async function openDevice(options) {
  if (options.device) return { device: options.device, adapter: nameOf(options.device.adapterInfo) };
  const adapter = await globalThis.navigator?.gpu?.requestAdapter({
    powerPreference: 'high-performance',
  });
  if (!adapter) throw new WebconvError('no-backend', 'there is no WebGPU adapter');
  const name = nameOf(adapter.info);
  refuseSoftware(name, options, adapter.info.isFallbackAdapter);
  return { device: await adapter.requestDevice(), adapter: name };
}

/** @param {GPUAdapterInfo} [info] */
const nameOf = (info) =>
  info ? [info.vendor, info.architecture, info.description].filter(Boolean).join(' ') : '';

/** @implements {Session} */
class WebgpuSession {
  variant = 'f32';
  stats = { dispatches: 0, submits: 0, pipelines: 0 };
  /** @type {GPUDeviceLostInfo | undefined} */
  lost;
  /** @type {Map<string, GPUBuffer>} Slots, inputs and the read-back buffer by name. */
  pool = new Map();
  /** @type {GPUBuffer[]} */
  weights = [];
  /** @type {State[]} */
  states = [];
  /** Counts how often a buffer was replaced. */
  generation = 0;
  /** @type {GPUComputePipeline[]} */
  pipelines = [];
  /** @type {Map<string, GPUBindGroupLayout>} */
  layouts = new Map();

  /**
   * @param {SessionContext} context
   * @param {GPUDevice} device
   * @param {string} adapter
   */
  constructor({ model, section, options }, device, adapter) {
    this.model = model;
    /** @type {Section} */
    this.section = section;
    this.device = device;
    this.adapter = adapter;
    this.ownsDevice = !options.device;
    device.lost.then((info) => {
      this.lost = info;
    });
  }

  /** @param {import('./types.d.ts').DType} dtype */
  storage(dtype) {
    if (dtype[0] === 'f') return Float32Array;
    return dtype === 'u32' || dtype === 'u64' ? Uint32Array : Int32Array;
  }

  // -- loading -----------------------------------------------------------------------------------

  /** @param {SessionContext} context */
  async load({ weights, progress }) {
    const { shaders } = this.section;
    let done = 0;
    const compile = async (/** @type {Section['shaders'][number]} */ shader) => {
      const pipeline = await this.compile(shader);
      progress('compile', ++done, shaders.length);
      return pipeline;
    };
    const [pipelines] = await this.guarded(() =>
      Promise.all([Promise.all(shaders.map(compile)), this.upload(weights)]),
    );
    this.pipelines = pipelines;
    this.stats.pipelines = pipelines.length;
    progress('upload', weights.bytes, weights.bytes);
  }

  /** @param {Section['shaders'][number]} shader */
  compile({ code, binds }) {
    const layout = this.device.createPipelineLayout({ bindGroupLayouts: [this.layout(binds)] });
    const module = this.device.createShaderModule({ code });
    return this.device.createComputePipelineAsync({ layout, compute: { module } });
  }

  /** @param {string} binds */
  layout(binds) {
    const known = this.layouts.get(binds);
    if (known) return known;
    const made = this.device.createBindGroupLayout({
      entries: [...binds].flatMap((letter, binding) => {
        if (letter === '-') return [];
        /** @type {GPUBufferBindingLayout} */
        const buffer =
          letter === 'u'
            ? { type: 'uniform', hasDynamicOffset: true }
            : { type: LAYOUT_TYPES[/** @type {'r' | 'w'} */ (letter)] };
        return [{ binding, visibility: GPUShaderStage.COMPUTE, buffer }];
      }),
    });
    this.layouts.set(binds, made);
    return made;
  }

  /** @param {import('./types.d.ts').Weights} weights */
  async upload(weights) {
    const ends = this.section.weights;
    const starts = [0, ...ends];
    this.weights = ends.map((end, k) =>
      this.device.createBuffer({
        size: roundUp(end - starts[k], ROW),
        usage: GPUBufferUsage.STORAGE,
        mappedAtCreation: true,
      }),
    );
    const views = this.weights.map((buffer) => buffer.getMappedRange());
    await weights.load((offset, bytes) => {
      const k = ends.findIndex((end) => offset < end);
      return new Uint8Array(views[k], offset - starts[k], bytes);
    });
    for (const buffer of this.weights) buffer.unmap();
  }

  // -- binding -----------------------------------------------------------------------------------

  /**
   * @param {number} position
   * @param {Sizes} sizes
   */
  bind(position, sizes) {
    return this.guarded(() => this.plan(position, sizes));
  }

  /**
   * @param {number} position
   * @param {Sizes} sizes
   */
  plan(position, sizes) {
    const entry = this.section.entries[position];
    const { writes } = this.model.entries[position];
    const plan = {
      entry,
      writes,
      slots: entry.slots(sizes),
      inputs: entry.inputs(sizes),
      lengths: entry.lengths(sizes),
      states: writes.map((k) => count(this.model.states[k].shape.map((dim) => size(dim, sizes)))),
      ...this.expand(entry, sizes),
      generation: -1,
      /** @type {Map<string, GPUBindGroup>} */
      groups: new Map(),
    };
    this.prepare(plan);
    return plan;
  }

  /**
   * The dispatches of a run in order, and a row of the uniform buffer for each loop iteration.
   * @param {EntrySection} entry
   * @param {Sizes} sizes
   */
  expand(entry, sizes) {
    const known = { ...sizes };
    const symbols = entry.symbols.map((symbol) => sizes[symbol]);
    /** @type {Planned[]} */
    const dispatches = [];
    /** @type {number[][]} */
    const rows = [];
    const visit = (/** @type {Step[]} */ steps, /** @type {number[]} */ loops) => {
      let offset = -1;
      for (const step of steps) {
        if (!Array.isArray(step)) {
          const end = size(step.count, known);
          for (let i = 0; i < end; i++) {
            known[step.index] = i;
            visit(step.body, [...loops, i]);
          }
          continue;
        }
        const groups = Math.min(size(step[1], known), MOST_GROUPS);
        if (groups < 1) continue;
        if (offset < 0) offset = (rows.push([...symbols, ...loops]) - 1) * ROW;
        dispatches.push({ step, groups, offset });
      }
    };
    visit(entry.steps, []);
    const width = symbols.length + entry.loops;
    const data = new Int32Array((rows.length * ROW) / 4);
    rows.forEach((row, k) => data.set(row, (k * ROW) / 4));
    const uniform = this.device.createBuffer({
      size: Math.max(data.byteLength, ROW),
      usage: GPUBufferUsage.UNIFORM | GPUBufferUsage.COPY_DST,
    });
    this.device.queue.writeBuffer(uniform, 0, data);
    return { dispatches, uniform, width: roundUp(Math.max(width, 1) * 4, 16) };
  }

  /**
   * Makes buffers large enough, and drops bind groups that hold replaced ones.
   * @param {ReturnType<WebgpuSession['plan']>} plan
   */
  prepare(plan) {
    const { STORAGE, COPY_SRC, COPY_DST, MAP_READ } = GPUBufferUsage;
    plan.slots.forEach((n, k) => this.grow(`slot${k}`, n, STORAGE | COPY_SRC));
    plan.inputs.forEach((n, k) => this.grow(`input${k}`, n, STORAGE | COPY_DST));
    const total = plan.lengths.reduce((sum, n) => sum + n, 0);
    this.grow('readback', total, MAP_READ | COPY_DST);
    plan.writes.forEach((k, i) => this.fitState(k, plan.states[i] * 4));
    if (plan.generation === this.generation) return;
    plan.generation = this.generation;
    plan.groups.clear();
    for (const { step } of plan.dispatches) this.group(plan, step);
  }

  /**
   * @param {string} name
   * @param {number} elements
   * @param {number} usage
   */
  grow(name, elements, usage) {
    const bytes = roundUp(Math.max(elements, 1) * 4, 16);
    const old = this.pool.get(name);
    if (old && old.size >= bytes) return;
    old?.destroy();
    this.pool.set(name, this.device.createBuffer({ size: bytes, usage }));
    this.generation++;
  }

  /**
   * A state's two copies, of as many bytes as it has now.
   * @param {number} k
   * @param {number} bytes
   */
  fitState(k, bytes) {
    const old = this.states[k];
    if (old?.bytes === bytes) return old;
    for (const buffer of old?.buffers ?? []) buffer.destroy();
    const { STORAGE, COPY_SRC, COPY_DST } = GPUBufferUsage;
    const make = () =>
      this.device.createBuffer({
        size: roundUp(Math.max(bytes, 4), 16),
        usage: STORAGE | COPY_SRC | COPY_DST,
      });
    this.generation++;
    return (this.states[k] = { buffers: [make(), make()], now: 0, bytes });
  }

  /**
   * The bind group of a dispatch while states lie as they do now.
   * @param {ReturnType<WebgpuSession['plan']>} plan
   * @param {Dispatch} step
   */
  group(plan, step) {
    const [shader, , resources] = step;
    const copies = resources.map(([kind, k]) =>
      kind === 'state' || kind === 'next' ? this.states[k]?.now : '',
    );
    const key = `${plan.entry.steps.indexOf(step)}/${JSON.stringify(resources)}/${shader}/${copies}`;
    const known = plan.groups.get(key);
    if (known) return known;
    const { binds } = this.section.shaders[shader];
    const entries = resources.map((resource, k) => ({
      binding: k + 1,
      resource: this.resource(resource),
    }));
    if (binds[0] === 'u') {
      entries.push({ binding: 0, resource: { buffer: plan.uniform, size: plan.width } });
    }
    const made = this.device.createBindGroup({ layout: this.layout(binds), entries });
    plan.groups.set(key, made);
    return made;
  }

  /**
   * @param {Resource} resource
   * @returns {GPUBufferBinding}
   */
  resource(resource) {
    const [kind, k] = resource;
    if (kind === 'weights') {
      return { buffer: this.weights[k], offset: resource[2], size: resource[3] };
    }
    if (kind === 'slot' || kind === 'input') {
      return { buffer: /** @type {GPUBuffer} */ (this.pool.get(kind + k)) };
    }
    const { buffers, now } = this.states[k];
    return { buffer: buffers[kind === 'state' ? now : 1 - now] };
  }

  // -- running -----------------------------------------------------------------------------------

  /**
   * @param {ReturnType<WebgpuSession['plan']>} plan
   * @param {TypedArray[]} inputs
   * @param {number[]} fetch
   */
  run(plan, inputs, fetch) {
    return this.guarded(async () => {
      this.prepare(plan);
      const { queue } = this.device;
      inputs.forEach((data, k) => {
        const target = /** @type {GPUBuffer} */ (this.pool.get(`input${k}`));
        if (data.length) queue.writeBuffer(target, 0, /** @type {any} */ (data));
      });
      const encoder = this.device.createCommandEncoder();
      this.encode(plan, encoder);
      const copies = this.copyOutputs(plan, encoder, fetch);
      const arrays = await this.submit(encoder, copies, (k) =>
        this.storage(this.outputType(plan, fetch[k])),
      );
      for (const k of plan.writes) this.states[k].now ^= 1;
      return arrays;
    });
  }
}

/**
 * @param {number} n
 * @param {number} multiple
 */
const roundUp = (n, multiple) => Math.ceil(n / multiple) * multiple;
