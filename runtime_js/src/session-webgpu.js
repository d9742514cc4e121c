// Runs a model on WebGPU: one command encoder, one compute pass and one submit per run.
//
// Buffers belong to the session and grow to the largest sizes seen. Plans hold what is computed
// from sizes, and bind groups, which are made anew only after a buffer grew.

import { Device } from './device-webgpu.js';
import { WebconvError } from './errors.js';
import { planDispatches, roundUp, ROW, shadersOf } from './plan-webgpu.js';
import { Shaders } from './shaders-webgpu.js';
import { count, size } from './shape.js';

/** @import { CreateSession, DType, Session, SessionContext, Sizes, TypedArray, Weights } from './types.d.ts' */
/** @import { Dispatch, Resource, Section, StateBuffers, Storage, WebgpuPlan } from './webgpu.d.ts' */

// https://www.w3.org/TR/webgpu/#namespacedef-gpubufferusage
const MAP_READ = 1;
const COPY_SRC = 4;
const COPY_DST = 8;
const UNIFORM = 64;
const STORAGE = 128;

/** @type {CreateSession} */
export async function createSession(context) {
  const session = new WebgpuSession(context, await Device.open(context.options));
  try {
    await session.load(context);
  } catch (error) {
    session.dispose();
    throw error;
  }
  return session;
}

/** @implements {Session} */
class WebgpuSession {
  variant = 'f32';
  stats = { dispatches: 0, submits: 0, pipelines: 0, bytesRead: 0 };
  /** @type {Map<string, GPUBuffer>} Slots, inputs and the one for reading back, by name. */
  pool = new Map();
  /** How often a buffer was replaced. */
  generation = 0;
  /** @type {GPUBuffer[]} */
  weights = [];
  /** @type {StateBuffers[]} */
  states = [];
  /** @type {Set<WebgpuPlan>} */
  plans = new Set();

  /**
   * @param {SessionContext} context
   * @param {Device} device
   */
  constructor({ model, section }, device) {
    this.model = model;
    /** @type {Section} */
    this.section = section;
    this.device = device;
    this.gpu = device.gpu;
    this.adapter = device.adapter;
    this.shaders = new Shaders(device, this.section.shaders);
  }

  /** @param {DType} dtype */
  storage(dtype) {
    if (dtype[0] === 'f') return Float32Array;
    return dtype === 'u32' || dtype === 'u64' ? Uint32Array : Int32Array;
  }

  // -- loading -----------------------------------------------------------------------------------

  /** @param {SessionContext} context */
  async load({ weights, progress }) {
    const needed = new Set(this.section.entries.flatMap(({ variants }) => shadersOf(variants[0])));
    let done = 0;
    const compiling = [...needed].map(async (shader) => {
      await this.compile(shader);
      progress('compile', ++done, needed.size);
    });
    await Promise.all([this.device.checked(() => this.upload(weights)), ...compiling]);
    progress('upload', weights.bytes, weights.bytes);
  }

  /** @param {number} shader */
  async compile(shader) {
    if (await this.shaders.compile(shader)) this.stats.pipelines++;
  }

  /** @param {Weights} weights */
  async upload(weights) {
    const ends = this.section.weights;
    const starts = [0, ...ends];
    this.weights = ends.map((end, k) =>
      this.gpu.createBuffer({
        size: roundUp(end - starts[k], ROW),
        usage: STORAGE,
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
   * @returns {Promise<WebgpuPlan>}
   */
  async bind(position, sizes) {
    const { symbols, inputs, lengths, variants } = this.section.entries[position];
    const variant = variants.find(({ ones }) => ones(sizes).every((n) => n === 1)) ?? variants[0];
    await Promise.all(shadersOf(variant).map((shader) => this.compile(shader)));
    const { writes } = this.model.entries[position];
    return this.device.checked(() => {
      const { dispatches, uniforms, width } = planDispatches(symbols, variant, sizes);
      const plan = {
        position,
        variant,
        writes,
        states: writes.map((k) => count(this.model.states[k].shape.map((n) => size(n, sizes)))),
        slots: variant.slots(sizes),
        inputs: inputs(sizes),
        lengths: lengths(sizes),
        dispatches,
        uniform: this.gpu.createBuffer({ size: uniforms.byteLength, usage: UNIFORM | COPY_DST }),
        width,
        groups: new Map(),
        generation: -1,
      };
      this.device.write(plan.uniform, uniforms);
      this.prepare(plan);
      this.plans.add(plan);
      for (const known of this.plans) this.regroup(known);
      return plan;
    });
  }

  /**
   * Makes buffers large enough; bind groups are made anew if that replaced any.
   * @param {WebgpuPlan} plan
   */
  prepare(plan) {
    plan.slots.forEach((n, k) => this.grow(`slot${k}`, n, STORAGE | COPY_SRC));
    plan.inputs.forEach((n, k) => this.grow(`input${k}`, n, STORAGE | COPY_DST));
    this.growReadback(plan.lengths.reduce((sum, n) => sum + n, 0));
    plan.writes.forEach((k, i) => {
      const { copies = [], now = 0 } = this.states[k] ?? {};
      // A state that nothing was read of yet gets both, so that every plan finds its own.
      if (!copies[now]) this.stateCopy(k, now, plan.states[i] * 4);
      this.stateCopy(k, 1 - now, plan.states[i] * 4);
    });
    this.regroup(plan);
  }

  /** @param {WebgpuPlan} plan */
  regroup(plan) {
    if (plan.generation === this.generation) return;
    plan.generation = this.generation;
    plan.groups.clear();
    this.groups(plan);
  }

  /** @param {number} elements */
  growReadback(elements) {
    this.grow('readback', elements, MAP_READ | COPY_DST);
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
    const { maxStorageBufferBindingSize: most } = this.gpu.limits;
    if (bytes > most) {
      const rule = `a tensor may have ${most} bytes on this GPU`;
      throw new WebconvError('out-of-memory', `${rule}, but one has ${bytes}`);
    }
    old?.destroy();
    this.pool.set(name, this.gpu.createBuffer({ size: bytes, usage }));
    if (usage & STORAGE) this.generation++;
  }

  /**
   * One of a state's two copies, replaced if it has another size now.
   * @param {number} k
   * @param {number} copy
   * @param {number} bytes
   */
  stateCopy(k, copy, bytes) {
    const state = (this.states[k] ??= { copies: [], now: 0 });
    const old = state.copies[copy];
    if (old?.bytes === bytes) return old.buffer;
    // What is being encoded may still copy from the old one.
    queueMicrotask(() => old?.buffer.destroy());
    const buffer = this.gpu.createBuffer({
      size: roundUp(Math.max(bytes, 4), 16),
      usage: STORAGE | COPY_SRC | COPY_DST,
    });
    state.copies[copy] = { buffer, bytes };
    this.generation++;
    return buffer;
  }

  /**
   * The bind groups of a plan while states lie as they do now.
   * @param {WebgpuPlan} plan
   */
  groups(plan) {
    const copies = this.states.map((state) => state?.now).join();
    let groups = plan.groups.get(copies);
    if (!groups) {
      groups = new Map();
      for (const { step } of plan.dispatches) {
        if (!groups.has(step)) groups.set(step, this.group(plan, step));
      }
      plan.groups.set(copies, groups);
    }
    return groups;
  }

  /**
   * @param {WebgpuPlan} plan
   * @param {Dispatch} dispatch
   */
  group({ uniform, width }, [shader, , resources]) {
    const bindings = resources.map((resource) => this.resource(resource));
    return this.shaders.group(shader, bindings, { buffer: uniform, size: width });
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
    if (kind === 'slot' || kind === 'input') return { buffer: this.buffer(kind + k) };
    const { copies, now } = this.states[k];
    return { buffer: copies[kind === 'state' ? now : 1 - now].buffer };
  }

  // -- running -----------------------------------------------------------------------------------

  /**
   * @param {WebgpuPlan} plan
   * @param {TypedArray[]} inputs
   * @param {number[]} fetch
   */
  async run(plan, inputs, fetch) {
    const types = this.model.entries[plan.position].outputs;
    const arrays = await this.device.checked(() => {
      this.prepare(plan);
      inputs.forEach((data, k) => this.device.write(this.buffer(`input${k}`), data));
      const encoder = this.gpu.createCommandEncoder();
      this.encode(plan, encoder);
      return this.submit(
        encoder,
        fetch.map((k) => ({
          from: this.buffer(`slot${plan.variant.outputs[k]}`),
          length: plan.lengths[k],
          type: this.storage(types[k].dtype),
        })),
      );
    });
    for (const k of plan.writes) this.states[k].now ^= 1;
    return arrays;
  }

  /**
   * @param {WebgpuPlan} plan
   * @param {GPUCommandEncoder} encoder
   */
  encode(plan, encoder) {
    const groups = this.groups(plan);
    const pass = encoder.beginComputePass();
    for (const { step, groups: n, offset } of plan.dispatches) {
      const [shader] = step;
      const row = this.shaders.takesSizes(shader) ? [offset] : [];
      pass.setPipeline(this.shaders.pipelines[shader]);
      pass.setBindGroup(0, groups.get(step) ?? null, row);
      pass.dispatchWorkgroups(n);
    }
    pass.end();
    this.stats.dispatches += plan.dispatches.length;
  }

  /**
   * Submits, and reads back a fresh array of each part.
   * @param {GPUCommandEncoder} encoder
   * @param {{ from: GPUBuffer, length: number, type: Storage }[]} parts
   * @returns {Promise<TypedArray[]>}
   */
  async submit(encoder, parts) {
    const target = this.buffer('readback');
    let end = 0;
    const offsets = parts.map(({ from, length }) => {
      const offset = end;
      end += length * 4;
      if (length) encoder.copyBufferToBuffer(from, 0, target, offset, length * 4);
      return offset;
    });
    this.gpu.queue.submit([encoder.finish()]);
    this.stats.submits++;
    if (!end) {
      await this.gpu.queue.onSubmittedWorkDone();
      return parts.map(({ type }) => new type());
    }
    await target.mapAsync(1, 0, end);
    this.stats.bytesRead += end;
    const mapped = target.getMappedRange(0, end);
    const arrays = parts.map(({ length, type }, k) => new type(mapped, offsets[k], length).slice());
    target.unmap();
    return arrays;
  }

  /** @param {string} name */
  buffer(name) {
    return /** @type {GPUBuffer} */ (this.pool.get(name));
  }

  // -- states ------------------------------------------------------------------------------------

  /**
   * @param {number} k
   * @param {number[]} shape
   * @param {TypedArray | null} data
   */
  setState(k, shape, data) {
    return this.device.checked(() => {
      const bytes = count(shape) * 4;
      const target = this.stateCopy(k, this.states[k]?.now ?? 0, bytes);
      this.device.write(target, data ?? new Uint8Array(bytes));
    });
  }

  /** @param {number} k */
  async getState(k) {
    const { buffer, bytes } = this.state(k);
    const type = this.storage(this.model.states[k].dtype);
    const [data] = await this.device.checked(() => {
      this.growReadback(bytes / 4);
      const encoder = this.gpu.createCommandEncoder();
      return this.submit(encoder, [{ from: buffer, length: bytes / 4, type }]);
    });
    return data;
  }

  /**
   * @param {number} k
   * @param {number[]} shape
   * @param {number} axis
   * @param {number[]} rows
   */
  selectState(k, shape, axis, rows) {
    return this.device.checked(() => {
      const row = count(shape.slice(axis + 1)) * 4;
      const outer = row && count(shape.slice(0, axis));
      const { buffer } = this.state(k);
      const target = this.stateCopy(k, 1 - this.states[k].now, outer * rows.length * row);
      const encoder = this.gpu.createCommandEncoder();
      for (let o = 0; o < outer; o++) {
        rows.forEach((r, i) => {
          const to = (o * rows.length + i) * row;
          encoder.copyBufferToBuffer(buffer, (o * shape[axis] + r) * row, target, to, row);
        });
      }
      this.gpu.queue.submit([encoder.finish()]);
      this.states[k].now ^= 1;
    });
  }

  /** @param {number} k */
  state(k) {
    const { copies, now } = this.states[k];
    return copies[now];
  }

  // -- the end -----------------------------------------------------------------------------------

  /** @param {WebgpuPlan} plan */
  release(plan) {
    this.plans.delete(plan);
    plan.uniform.destroy();
  }

  dispose() {
    const states = this.states.flatMap((state) => state.copies.map(({ buffer }) => buffer));
    for (const buffer of [...this.pool.values(), ...this.weights, ...states]) buffer.destroy();
    this.device.dispose();
  }
}
