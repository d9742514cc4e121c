// The WebGL2 session: tensors are textures of four elements a texel, kernels are draws into them.
//
// Textures that are only uploaded hold texel t at (t % 4096, t / 4096). Textures that are drawn to
// hold it in bands of two rows, at (t / 2 % 4096, 2 * (t / 8192) + t % 2). A texture of blocks has
// one such band for each iteration of a loop. The shaders' prologue does the same sums.

import { refuseSoftware } from './adapter.js';
import { count, size } from './shape.js';
import { WebconvError } from './errors.js';

/** @import { DType, Dim, Session, SessionContext, Sizes, TypedArray } from './types.d.ts' */

/**
 * @typedef {{ texture: WebGLTexture, id: number, ints: boolean, width: number, height: number }} Texture
 * @typedef {{ copies: Texture[] }} Place the copies of a double-buffered tensor, or its only one
 * @typedef {[place: Place, copy: number]} Use
 * @typedef {{ program: Program, texels: number, reads: Use[], writes: Use[], block: number,
 *   values: number[] }} Draw `block` is -1 where a texture has no blocks
 * @typedef {{ handle: WebGLProgram, places: (WebGLUniformLocation | null)[], values: number[] }} Program
 * @typedef {{ read: Place, next: Place, elements: number }} State
 */

const SIDE = 4096;

const VERTEX = `#version 300 es
void main() {
  gl_Position = vec4(gl_VertexID == 1 ? 3 : -1, gl_VertexID == 2 ? 3 : -1, 0, 1);
}`;

/** @param {DType} dtype */
const isFloat = (dtype) => dtype[0] === 'f';

/** @param {DType} dtype */
const storage = (dtype) =>
  isFloat(dtype) ? Float32Array : dtype === 'u32' ? Uint32Array : Int32Array;

/**
 * @param {Place} place
 * @param {number} copy
 */
const pick = ({ copies }, copy) => copies[copy % copies.length];

/**
 * The size of a band of texels.
 * @param {number} texels
 */
const bandSize = (texels) => ({
  width: Math.min(Math.ceil(texels / 2), SIDE),
  height: 2 * Math.ceil(texels / (2 * SIDE)),
});

/**
 * Where block `i` of `texels` texels lies.
 * @param {number} i
 * @param {number} texels
 */
function blockPlace(i, texels) {
  const { width, height } = bandSize(texels);
  const columns = Math.floor(SIDE / width);
  return { x: (i % columns) * width, y: Math.floor(i / columns) * height, width, height };
}

/**
 * @param {SessionContext} context
 * @returns {Promise<Session>}
 */
export async function createSession({ model, section, weights, options, progress }) {
  const canvas = globalThis.OffscreenCanvas
    ? new OffscreenCanvas(1, 1)
    : document.createElement('canvas');
  const attributes = {
    alpha: false,
    antialias: false,
    depth: false,
    powerPreference: 'high-performance',
  };
  const gl = /** @type {WebGL2RenderingContext | null} */ (canvas.getContext('webgl2', attributes));
  if (!gl) throw new WebconvError('no-backend', 'there is no WebGL2 here');
  const session = new WebglSession(gl, model, section, options);
  try {
    refuseSoftware(session.adapter, options);
    await session.compile(progress);
    await session.loadWeights(weights, progress);
  } catch (error) {
    session.dispose();
    throw error;
  }
  return session;
}

/** @implements {Session} */
class WebglSession {
  /**
   * @param {WebGL2RenderingContext} gl
   * @param {import('./types.d.ts').Model} model
   * @param {any} section
   * @param {import('./types.d.ts').LoadOptions} options
   */
  constructor(gl, model, section, options) {
    this.gl = gl;
    this.model = model;
    this.section = section;
    this.storage = storage;
    const floats =
      !(/** @type {any} */ (options).bits) && gl.getExtension('EXT_color_buffer_float');
    this.variant = floats ? 'float' : 'bits';
    const name = gl.getExtension('WEBGL_debug_renderer_info')?.UNMASKED_RENDERER_WEBGL;
    this.adapter = String(gl.getParameter(name ?? gl.RENDERER));
    this.stats = { runs: 0, draws: 0, programs: 0, textures: 0, frames: 0, bytes: 0 };
    /** @type {Program[]} */
    this.programs = [];
    /** @type {Place[]} */
    this.weights = [];
    /** @type {State[]} */
    this.states = [];
    /** @type {Map<string, WebGLFramebuffer>} by the textures that are drawn to */
    this.frames = new Map();
    /** @type {(Texture | undefined)[]} what the texture units hold */
    this.units = [];
    /** @type {Program | undefined} */
    this.current = undefined;
    this.nothing = this.texture(false, 1, 1);
  }

  // -- loading ---------------------------------------------------------------------------------

  /**
   * All programs at once, so that the browser may compile them in parallel.
   * @param {SessionContext['progress']} progress
   */
  async compile(progress) {
    const { gl } = this;
    const { prologue, programs } = this.section;
    const parallel = gl.getExtension('KHR_parallel_shader_compile');
    const head = `#version 300 es\n${this.variant === 'bits' ? '#define BITS\n' : ''}${prologue}`;
    const vertex = this.shader(gl.VERTEX_SHADER, VERTEX);
    const handles = programs.map((/** @type {any} */ { code }) => {
      const handle = gl.createProgram();
      gl.attachShader(handle, vertex);
      gl.attachShader(handle, this.shader(gl.FRAGMENT_SHADER, head + code));
      gl.linkProgram(handle);
      return handle;
    });
    for (const [i, handle] of handles.entries()) {
      progress('compile', i, handles.length);
      while (parallel && !gl.getProgramParameter(handle, parallel.COMPLETION_STATUS_KHR)) {
        if (gl.isContextLost()) break;
        await new Promise((resolve) => setTimeout(resolve, 1));
      }
      this.programs.push(this.linked(handle, programs[i]));
    }
    progress('compile', handles.length, handles.length);
    this.stats.programs = handles.length;
  }

  /**
   * @param {number} type
   * @param {string} source
   */
  shader(type, source) {
    const { gl } = this;
    const shader = /** @type {WebGLShader} */ (gl.createShader(type));
    gl.shaderSource(shader, source);
    gl.compileShader(shader);
    return shader;
  }

  /**
   * @param {WebGLProgram} handle
   * @param {{ samplers: string[], sizes: number }} description
   * @returns {Program}
   */
  linked(handle, { samplers, sizes }) {
    const { gl } = this;
    if (!gl.getProgramParameter(handle, gl.LINK_STATUS)) {
      this.check();
      const logs = gl.getAttachedShaders(handle)?.map((shader) => gl.getShaderInfoLog(shader));
      throw new WebconvError('no-backend', `${gl.getProgramInfoLog(handle)} ${logs?.join(' ')}`);
    }
    gl.useProgram(handle);
    samplers.forEach((name, unit) => gl.uniform1i(gl.getUniformLocation(handle, name), unit));
    const places = Array.from({ length: sizes }, (_, i) =>
      gl.getUniformLocation(handle, `size${i}`),
    );
    return { handle, places, values: [] };
  }

  /**
   * @param {import('./types.d.ts').Weights} weights
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
      const bytes = /** @type {Uint8Array<ArrayBuffer>} */ (file?.bytes);
      const start = offset - (file?.offset ?? 0);
      let data = new Int32Array(bytes.buffer, start, wide ? 2 * elements : elements);
      // The low words of 64-bit integers.
      if (wide) data = data.filter((_, k) => k % 2 === 0);
      const place = {
        copies: elements ? [this.lines(ints, Math.ceil(elements / 4))] : [this.nothing],
      };
      if (elements) this.upload(place.copies[0], data);
      this.weights.push(place);
    }
    progress('upload', total, total);
    this.check();
  }

  // -- textures --------------------------------------------------------------------------------

  /**
   * @param {boolean} ints
   * @param {number} width
   * @param {number} height
   * @returns {Texture}
   */
  texture(ints, width, height) {
    const { gl } = this;
    if (width > SIDE || height > SIDE) {
      const most = `${SIDE} x ${SIDE} texels of 4 elements`;
      throw new WebconvError(
        'unsupported',
        `a tensor needs ${width} x ${height} texels; WebGL takes ${most}`,
      );
    }
    const texture = gl.createTexture();
    gl.activeTexture(gl.TEXTURE0);
    gl.bindTexture(gl.TEXTURE_2D, texture);
    this.units[0] = undefined;
    gl.texStorage2D(gl.TEXTURE_2D, 1, this.floats(ints) ? gl.RGBA32F : gl.RGBA32I, width, height);
    for (const name of [gl.TEXTURE_MIN_FILTER, gl.TEXTURE_MAG_FILTER]) {
      gl.texParameteri(gl.TEXTURE_2D, name, gl.NEAREST);
    }
    this.stats.bytes += 16 * width * height;
    return { texture, id: this.stats.textures++, ints, width, height };
  }

  /**
   * Whether a texture holds floats as such.
   * @param {boolean} ints
   */
  floats(ints) {
    return !ints && this.variant === 'float';
  }

  /**
   * A texture that is only uploaded.
   * @param {boolean} ints
   * @param {number} texels
   */
  lines(ints, texels) {
    return this.texture(ints, Math.min(texels, SIDE), Math.ceil(texels / SIDE));
  }

  /**
   * Fills the first texels of a texture, row by row.
   * @param {Texture} texture
   * @param {TypedArray} data 32-bit elements
   */
  upload(texture, data) {
    const row = 4 * texture.width;
    const rows = Math.floor(data.length / row);
    if (rows) this.uploadRows(texture, 0, rows, data);
    if (data.length > rows * row) {
      const last = new Int32Array(row);
      last.set(
        new Int32Array(data.buffer, data.byteOffset + 4 * rows * row, data.length - rows * row),
      );
      this.uploadRows(texture, rows, 1, last);
    }
  }

  /**
   * @param {Texture} texture
   * @param {number} y
   * @param {number} rows
   * @param {TypedArray} data
   */
  uploadRows({ texture, ints, width }, y, rows, data) {
    const { gl } = this;
    const floats = this.floats(ints);
    const elements = new (floats ? Float32Array : Int32Array)(
      /** @type {ArrayBuffer} */ (data.buffer),
      data.byteOffset,
      4 * width * rows,
    );
    gl.activeTexture(gl.TEXTURE0);
    gl.bindTexture(gl.TEXTURE_2D, texture);
    this.units[0] = undefined;
    const [format, type] = floats ? [gl.RGBA, gl.FLOAT] : [gl.RGBA_INTEGER, gl.INT];
    gl.texSubImage2D(gl.TEXTURE_2D, 0, 0, y, width, rows, format, type, elements);
  }

  /** @param {Texture} texture */
  free({ texture, id, width, height }) {
    if (id === this.nothing.id) return;
    this.gl.deleteTexture(texture);
    this.stats.bytes -= 16 * width * height;
    for (const [key, frame] of this.frames) {
      if (!key.split(',').includes(`${id}`)) continue;
      this.gl.deleteFramebuffer(frame);
      this.frames.delete(key);
    }
  }

  /**
   * Makes `textures` what is drawn to.
   * @param {Texture[]} textures
   */
  target(textures) {
    const { gl, frames } = this;
    const key = textures.map(({ id }) => id).join();
    let frame = frames.get(key);
    if (!frame) {
      frame = gl.createFramebuffer();
      frames.set(key, frame);
      this.stats.frames++;
      gl.bindFramebuffer(gl.FRAMEBUFFER, frame);
      const points = textures.map((_, i) => gl.COLOR_ATTACHMENT0 + i);
      textures.forEach(({ texture }, i) =>
        gl.framebufferTexture2D(gl.FRAMEBUFFER, points[i], gl.TEXTURE_2D, texture, 0),
      );
      gl.drawBuffers(points);
    } else gl.bindFramebuffer(gl.FRAMEBUFFER, frame);
  }

  // -- plans -----------------------------------------------------------------------------------

  /**
   * @param {number} entry
   * @param {Sizes} given
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
    const blocks = groups.map(() => 0);
    const draws = this.expand(steps, sizes, places, (place, block) => {
      const { group } = textures[place];
      blocks[group] = Math.max(blocks[group], block + 1);
    });
    /** @type {Texture[]} */
    const owned = [];
    textures.forEach((/** @type {any} */ texture, /** @type {number} */ i) => {
      const { group } = texture;
      if (group === undefined) return;
      const most = Math.max(...groups[group].map((/** @type {Dim} */ d) => size(d, sizes)));
      places[i].copies = this.allocate(texture, Math.ceil(most / 4), blocks[group]);
      owned.push(...places[i].copies);
    });
    this.check();
    return { entry, draws, places, owned, sizes };
  }

  /**
   * The textures of a tensor, or of several by turns.
   * @param {{ ints: boolean, copies: number, line: boolean }} texture
   * @param {number} texels
   * @param {number} blocks
   */
  allocate({ ints, copies, line }, texels, blocks) {
    if (!texels) return [this.nothing];
    if (line) return [this.lines(ints, texels)];
    let { width, height } = bandSize(texels);
    if (blocks) {
      const columns = Math.min(Math.floor(SIDE / width), blocks);
      width *= columns;
      height *= Math.ceil(blocks / columns);
    }
    return Array.from({ length: copies }, () => this.texture(ints, width, height));
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
      let block = -1;
      if (step.stacked) {
        block = size(step.writes[0][1], sizes) >> 1;
        for (const [place] of step.writes) onBlock(place, block);
      }
      const values = step.sizes.map((/** @type {Dim} */ d) => size(d, sizes));
      const [reads, writes] = [step.reads.map(use), step.writes.map(use)];
      return [{ program: this.programs[step.program], texels, reads, writes, block, values }];
    });
  }

  /** @param {any} plan */
  release({ owned }) {
    for (const texture of owned) this.free(texture);
  }

  // -- runs ------------------------------------------------------------------------------------

  /**
   * @param {any} plan
   * @param {TypedArray[]} inputs
   * @param {number[]} fetch
   */
  async run(plan, inputs, fetch) {
    const entry = this.section.entries[plan.entry];
    inputs.forEach((data, i) => {
      const { copies } = plan.places[entry.inputs[i]];
      if (data.length) this.upload(copies[0], data);
    });
    for (const draw of plan.draws) this.draw(draw);
    this.stats.draws += plan.draws.length;
    const { outputs, writes } = this.model.entries[plan.entry];
    const results = fetch.map((i) => {
      const { dtype, shape } = outputs[i];
      const elements = count(shape.map((dim) => size(dim, plan.sizes)));
      return this.readBack(plan.places[entry.outputs[i]].copies[0], elements, dtype);
    });
    this.check();
    for (const i of writes) {
      const { read, next } = this.state(i);
      [read.copies, next.copies] = [next.copies, read.copies];
    }
    this.stats.runs++;
    return results;
  }

  /** @param {Draw} draw */
  draw({ program, texels, reads, writes, block, values }) {
    const { gl } = this;
    if (this.current !== program) gl.useProgram((this.current = program).handle);
    values.forEach((value, i) => {
      if (program.values[i] !== value) gl.uniform1i(program.places[i], (program.values[i] = value));
    });
    reads.forEach(([place, copy], unit) => {
      const texture = pick(place, copy);
      if (this.units[unit] === texture) return;
      gl.activeTexture(gl.TEXTURE0 + unit);
      gl.bindTexture(gl.TEXTURE_2D, (this.units[unit] = texture).texture);
    });
    this.target(writes.map(([place, copy]) => pick(place, copy)));
    const { x, y, width, height } = blockPlace(Math.max(0, block), texels);
    gl.viewport(x, y, width, height);
    gl.drawArrays(gl.TRIANGLES, 0, 3);
  }

  /**
   * The first elements of a texture that was drawn to.
   * @param {Texture} texture
   * @param {number} elements
   * @param {DType} dtype
   */
  readBack(texture, elements, dtype) {
    const { gl } = this;
    const result = new (storage(dtype))(elements);
    if (!elements) return result;
    const { width, height } = bandSize(Math.ceil(elements / 4));
    const floats = this.floats(texture.ints);
    const pixels = new (floats ? Float32Array : Int32Array)(4 * width * height);
    this.target([texture]);
    const [format, type] = floats ? [gl.RGBA, gl.FLOAT] : [gl.RGBA_INTEGER, gl.INT];
    gl.readPixels(0, 0, width, height, format, type, pixels);
    const [to, from] = [new Int32Array(result.buffer), new Int32Array(pixels.buffer)];
    for (let e = 0; e < elements; e++) {
      const t = e >> 2;
      const y = (t & 1) | ((t >> 13) << 1);
      to[e] = from[4 * (y * width + ((t >> 1) & (SIDE - 1))) + (e & 3)];
    }
    return result;
  }

  // -- states ----------------------------------------------------------------------------------

  /** @param {number} i */
  state(i) {
    return (this.states[i] ??= { read: { copies: [] }, next: { copies: [] }, elements: -1 });
  }

  /**
   * @param {number} i
   * @param {number[]} shape
   * @param {TypedArray | null} data
   */
  setState(i, shape, data) {
    const state = this.state(i);
    const ints = !isFloat(this.model.states[i].dtype);
    const elements = count(shape);
    if (elements !== state.elements) {
      for (const place of [state.read, state.next]) {
        place.copies.forEach((texture) => this.free(texture));
        place.copies = this.allocate({ ints, copies: 1, line: false }, Math.ceil(elements / 4), 0);
      }
      state.elements = elements;
    }
    if (!elements) return;
    const [texture] = state.read.copies;
    const { width, height } = texture;
    const pixels = new Int32Array(4 * width * height);
    if (data) {
      const from = new Int32Array(data.buffer, data.byteOffset, data.length);
      from.forEach((value, e) => {
        const t = e >> 2;
        pixels[4 * (((t & 1) | ((t >> 13) << 1)) * width + ((t >> 1) & (SIDE - 1))) + (e & 3)] =
          value;
      });
    }
    this.uploadRows(texture, 0, height, pixels);
  }

  /** @param {number} i */
  getState(i) {
    const { read, elements } = this.state(i);
    return this.readBack(read.copies[0], elements, this.model.states[i].dtype);
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
      throw new WebconvError('out-of-memory', `the textures do not fit: ${this.stats.bytes} bytes`);
    }
    if (error) throw new WebconvError('unsupported', `WebGL error ${error}`);
  }

  dispose() {
    this.gl.getExtension('WEBGL_lose_context')?.loseContext();
  }
}
