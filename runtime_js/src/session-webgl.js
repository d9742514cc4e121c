// The WebGL2 session: kernels are draws of one triangle each, into textures of their results.

import { refuseSoftware } from './adapter.js';
import { WebconvError } from './errors.js';
import { pause, Programs } from './programs-webgl.js';
import { count, size } from './shape.js';
import { blockPlace, Textures } from './textures-webgl.js';

/** @import { Dim, DType, LoadOptions, Model, Session, SessionContext, Sizes, TypedArray, Weights } from './types.d.ts' */
/** @import { Program } from './programs-webgl.js' */
/** @import { Texture } from './textures-webgl.js' */

/**
 * @typedef {{ copies: Texture[], elements?: number }} Place the copies of a tensor that steps of a
 *   loop fill by turns
 * @typedef {[place: Place, copy: number]} Use
 * @typedef {{ program: Program, texels: number, block: number, values: number[],
 *   reads: Use[], writes: Use[] }} Draw
 * @typedef {{ read: Place, next: Place }} State
 * @typedef {{ entry: number, sizes: Sizes, draws: Draw[], places: Place[], owned: Texture[],
 *   ms: number }} WebglPlan `ms` is how long the last run took
 */

// A run that took longer than this, in ms, is waited for without holding up the page.
const LONG = 16;

/** @param {DType} dtype */
const isFloat = (dtype) => dtype[0] === 'f';

/** @param {DType} dtype */
const storage = (dtype) =>
  isFloat(dtype) ? Float32Array : dtype === 'u32' ? Uint32Array : Int32Array;

/** @param {Use} use */
const pick = ([{ copies }, copy]) => copies[copy % copies.length];

/**
 * @param {SessionContext} context
 * @returns {Promise<Session>}
 */
export async function createSession({ model, section, weights, options, progress }) {
  const gl = openContext();
  if (!gl) throw new WebconvError('no-backend', 'there is no WebGL2 here');
  const session = new WebglSession(gl, model, section, options);
  try {
    refuseSoftware(session.adapter, options);
    await session.compile(progress);
    await session.loadWeights(weights, progress);
    return session;
  } catch (error) {
    session.dispose();
    throw error;
  }
}

/** @returns {WebGL2RenderingContext | null | undefined} */
function openContext() {
  const attributes = { alpha: false, antialias: false, depth: false };
  const open = (/** @type {any} */ canvas) => canvas?.getContext('webgl2', attributes);
  const offscreen = globalThis.OffscreenCanvas && new OffscreenCanvas(1, 1);
  return open(offscreen) ?? open(globalThis.document?.createElement('canvas'));
}

/** @implements {Session} */
class WebglSession {
  /** @type {Program[]} those of the model's kernels */
  kernels = [];
  /** @type {Place[]} */
  weights = [];
  /** @type {State[]} */
  states = [];
  /** @type {Program[]} those that select rows: of floats, of integers */
  selects = [];
  storage = storage;

  /**
   * @param {WebGL2RenderingContext} gl
   * @param {Model} model
   * @param {any} section
   * @param {LoadOptions & { bits?: boolean }} options `bits` does without float targets
   */
  constructor(gl, model, section, { bits }) {
    this.gl = gl;
    this.model = model;
    this.section = section;
    this.textures = new Textures(gl, !bits && !!gl.getExtension('EXT_color_buffer_float'));
    this.variant = this.textures.floats ? 'float' : 'bits';
    const head = this.textures.floats ? '' : '#define BITS\n';
    this.programs = new Programs(gl, head + section.prologue, () => this.check());
    const name = gl.getExtension('WEBGL_debug_renderer_info')?.UNMASKED_RENDERER_WEBGL;
    this.adapter = String(gl.getParameter(name ?? gl.RENDERER));
    this.counts = { runs: 0, draws: 0, programs: 0 };
  }

  get stats() {
    const { made, bytes, frames } = this.textures;
    return { ...this.counts, textures: made, frames: frames.size, bytes };
  }

  // -- loading ---------------------------------------------------------------------------------

  /** @param {SessionContext['progress']} progress */
  async compile(progress) {
    this.kernels = await this.programs.compile(this.section.programs, progress);
    this.counts.programs = this.kernels.length;
  }

  /**
   * @param {Weights} weights
   * @param {SessionContext['progress']} progress
   */
  async loadWeights(weights, progress) {
    /** @type {{ offset: number, bytes: Uint8Array<ArrayBuffer> }[]} */
    const files = [];
    await weights.load((offset, length) => {
      const bytes = new Uint8Array(length);
      files.push({ offset, bytes });
      return bytes;
    });
    const total = this.section.weights.length;
    for (const [i, { offset, elements, ints, wide }] of this.section.weights.entries()) {
      progress('upload', i, total);
      const file = files.findLast((found) => found.offset <= offset);
      if (!file) throw new WebconvError('integrity', `no file holds the weights at ${offset}`);
      const start = offset - file.offset;
      let data = new Int32Array(file.bytes.buffer, start, wide ? 2 * elements : elements);
      // Of 64-bit integers the low words.
      if (wide) data = data.filter((_, k) => k % 2 === 0);
      const texture = this.textures.lines(ints, Math.ceil(elements / 4));
      this.textures.upload(texture, data);
      this.weights.push({ copies: [texture] });
    }
    progress('upload', total, total);
    this.check();
  }

  // -- plans -----------------------------------------------------------------------------------

  /**
   * @param {number} entry
   * @param {Sizes} given
   * @returns {WebglPlan}
   */
  bind(entry, given) {
    const { textures, groups, steps } = this.section.entries[entry];
    /** @type {Sizes} */
    const sizes = Object.assign(Object.create(null), given);
    /** @type {Place[]} */
    const places = textures.map((/** @type {any} */ { weight, read, next }) => {
      if (weight !== undefined) return this.weights[weight];
      if (read !== undefined) return this.state(read).read;
      return next === undefined ? { copies: [] } : this.state(next).next;
    });
    /** @type {number[]} the number of blocks in the textures of each group */
    const blocks = groups.map(() => 1);
    const draws = this.expand(steps, sizes, places, (place, block) => {
      const { group } = textures[place];
      blocks[group] = Math.max(blocks[group], block + 1);
    });
    const texels = groups.map((/** @type {Dim[]} */ dims) =>
      Math.ceil(Math.max(...dims.map((dim) => size(dim, sizes))) / 4),
    );
    /** @type {WebglPlan} */
    const plan = { entry, sizes, draws, places, owned: [], ms: Infinity };
    try {
      textures.forEach((/** @type {any} */ texture, /** @type {number} */ i) => {
        const { group, copies, line, ints = false } = texture;
        for (let k = 0; k < (copies ?? 0); k++) {
          const made = line
            ? this.textures.lines(ints, texels[group])
            : this.textures.bands(ints, texels[group], blocks[group]);
          places[i].copies.push(made);
          plan.owned.push(made);
        }
      });
      this.check();
    } catch (error) {
      this.release(plan);
      throw error;
    }
    return plan;
  }

  /**
   * The draws of `steps` in order, loops written out.
   * @param {any[]} steps
   * @param {Sizes} sizes
   * @param {Place[]} places
   * @param {(place: number, block: number) => void} onBlock
   * @returns {Draw[]}
   */
  expand(steps, sizes, places, onBlock) {
    const use = (/** @type {any} */ [place, copy = 0]) =>
      /** @type {Use} */ ([places[place], size(copy, sizes)]);
    return steps.flatMap((step) => {
      if (step.loop) {
        /** @type {Draw[]} */
        const draws = [];
        const end = size(step.count, sizes);
        for (sizes[step.loop] = 0; sizes[step.loop] < end; sizes[step.loop]++) {
          draws.push(...this.expand(step.steps, sizes, places, onBlock));
        }
        return draws;
      }
      const texels = size(step.texels, sizes);
      if (!(texels > 0)) return [];
      const reads = step.reads.map(use);
      const writes = step.writes.map(use);
      const block = step.stacked ? writes[0][1] >> 1 : 0;
      if (step.stacked) step.writes.forEach((/** @type {number[]} */ [i]) => onBlock(i, block));
      const values = step.sizes.map((/** @type {Dim} */ dim) => size(dim, sizes));
      return [{ program: this.kernels[step.program], texels, block, values, reads, writes }];
    });
  }

  /** @param {WebglPlan} plan */
  release({ owned }) {
    for (const texture of owned) this.textures.free(texture);
  }

  // -- runs ------------------------------------------------------------------------------------

  /**
   * @param {WebglPlan} plan
   * @param {TypedArray[]} inputs
   * @param {number[]} fetch
   */
  async run(plan, inputs, fetch) {
    const start = performance.now();
    const entry = this.section.entries[plan.entry];
    inputs.forEach((data, i) => {
      if (data.length) this.textures.upload(plan.places[entry.inputs[i]].copies[0], data);
    });
    const { outputs, writes } = this.model.entries[plan.entry];
    for (const i of writes) {
      const shape = this.model.states[i].shape.map((dim) => size(dim, plan.sizes));
      this.makeRoom(i, this.state(i).next, count(shape));
    }
    for (const draw of plan.draws) this.draw(draw);
    this.counts.draws += plan.draws.length;
    if (plan.ms > LONG) await this.finish();
    const results = fetch.map((i) => {
      const { dtype, shape } = outputs[i];
      const elements = count(shape.map((dim) => size(dim, plan.sizes)));
      const [texture] = plan.places[entry.outputs[i]].copies;
      return this.textures.readBack(texture, elements, storage(dtype));
    });
    this.check();
    for (const i of writes) this.swap(i);
    this.counts.runs++;
    plan.ms = performance.now() - start;
    return results;
  }

  /** @param {Draw} draw */
  draw({ program, texels, block, values, reads, writes }) {
    const { gl, textures } = this;
    this.programs.use(program, values);
    reads.forEach((use, unit) => textures.use(unit, pick(use)));
    textures.target(writes.map(pick));
    const { x, y, width, height } = blockPlace(block, texels);
    gl.viewport(x, y, width, height);
    gl.drawArrays(gl.TRIANGLES, 0, 3);
  }

  /** Waits until everything is drawn. */
  async finish() {
    const { gl } = this;
    const fence = gl.fenceSync(gl.SYNC_GPU_COMMANDS_COMPLETE, 0);
    if (!fence) return;
    gl.flush();
    // A lost context says WAIT_FAILED.
    while (gl.clientWaitSync(fence, 0, 0) === gl.TIMEOUT_EXPIRED) await pause(1);
    gl.deleteSync(fence);
  }

  // -- states ----------------------------------------------------------------------------------

  /** @param {number} i */
  state(i) {
    return (this.states[i] ??= { read: { copies: [] }, next: { copies: [] } });
  }

  /**
   * Makes a place of state `i` one for so many elements.
   * @param {number} i
   * @param {Place} place
   * @param {number} elements
   */
  makeRoom(i, place, elements) {
    if (place.elements === elements) return;
    const ints = !isFloat(this.model.states[i].dtype);
    for (const texture of place.copies) this.textures.free(texture);
    place.copies = [this.textures.bands(ints, Math.ceil(elements / 4), 1)];
    place.elements = elements;
  }

  /**
   * What was written of state `i` is what is read from now on.
   * @param {number} i
   */
  swap(i) {
    const { read, next } = this.state(i);
    [read.copies, next.copies] = [next.copies, read.copies];
    [read.elements, next.elements] = [next.elements, read.elements];
  }

  /**
   * @param {number} i
   * @param {number[]} shape
   * @param {TypedArray | null} data
   */
  setState(i, shape, data) {
    const { read } = this.state(i);
    this.makeRoom(i, read, count(shape));
    if (read.elements) this.textures.uploadBands(read.copies[0], data);
    this.check();
  }

  /** @param {number} i */
  getState(i) {
    const { copies, elements = 0 } = this.state(i).read;
    const { dtype } = this.model.states[i];
    const data = this.textures.readBack(copies[0], elements, storage(dtype));
    this.check();
    return data;
  }

  /**
   * The program that selects rows, compiled when it is wanted.
   * @param {DType} dtype
   */
  selecting(dtype) {
    const kind = Number(!isFloat(dtype));
    return (this.selects[kind] ??= this.programs.make(this.section.select[kind]));
  }

  /**
   * @param {number} i
   * @param {number[]} shape
   * @param {number} axis
   * @param {number[]} rows
   */
  selectState(i, shape, axis, rows) {
    const { read, next } = this.state(i);
    const inner = count(shape.slice(axis + 1));
    const elements = count(shape.with(axis, rows.length));
    this.makeRoom(i, next, elements);
    const texels = Math.ceil(elements / 4);
    if (texels) {
      const order = this.textures.lines(true, Math.ceil(rows.length / 4));
      this.textures.upload(order, Int32Array.from(rows));
      this.draw({
        program: this.selecting(this.model.states[i].dtype),
        texels,
        block: 0,
        values: [inner, rows.length, shape[axis]],
        reads: [
          [read, 0],
          [{ copies: [order] }, 0],
        ],
        writes: [[next, 0]],
      });
      this.textures.free(order);
    }
    this.check();
    this.swap(i);
  }

  // -- the end ---------------------------------------------------------------------------------

  /** Throws if the context is gone or out of memory. */
  check() {
    const { gl } = this;
    const error = gl.getError();
    if (gl.isContextLost() || error === gl.CONTEXT_LOST_WEBGL) {
      throw new WebconvError('context-lost', 'the browser has taken the WebGL context away');
    }
    if (error === gl.OUT_OF_MEMORY) {
      const rule = `the textures do not fit, ${this.textures.bytes} bytes of them`;
      throw new WebconvError('out-of-memory', rule);
    }
    if (error) throw new WebconvError('unsupported', `WebGL error ${error}`);
  }

  dispose() {
    this.gl.getExtension('WEBGL_lose_context')?.loseContext();
  }
}
