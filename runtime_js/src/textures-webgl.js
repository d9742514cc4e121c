// Tensors as WebGL2 textures of four elements a texel, and drawing into them.
//
// Textures that are only uploaded hold texel t at (t % 4096, t / 4096). Textures that are drawn to
// hold it in bands of two rows, at (t / 2 % 4096, 2 * (t / 8192) + t % 2). A texture of blocks has
// such a tensor for each iteration of a loop. The shaders' prologue does the same sums.

import { WebconvError } from './errors.js';

/** @import { TypedArray, TypedArrayConstructor } from './types.d.ts' */

/** @typedef {{ handle: WebGLTexture, id: number, ints: boolean, width: number, height: number }} Texture */

// Textures up to this width and height are taken for granted.
const SIDE = 4096;

/**
 * What `texels` texels in bands take.
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
export function blockPlace(i, texels) {
  const { width, height } = bandSize(texels);
  const columns = Math.floor(SIDE / width);
  return { x: (i % columns) * width, y: Math.floor(i / columns) * height, width, height };
}

/**
 * Where element `e` lies among the components of a texture in bands.
 * @param {number} e
 * @param {number} width
 */
function bandIndex(e, width) {
  const t = e >> 2;
  const row = (t & 1) | ((t >> 13) << 1);
  return 4 * (row * width + ((t >> 1) & (SIDE - 1))) + (e & 3);
}

/**
 * The same memory as 32-bit integers.
 * @param {TypedArray} data
 */
const words = (data) =>
  new Int32Array(/** @type {ArrayBuffer} */ (data.buffer), data.byteOffset, data.length);

export class Textures {
  /** @type {Map<string, WebGLFramebuffer>} by the textures that are drawn to */
  frames = new Map();
  /** @type {(Texture | undefined)[]} what the texture units hold */
  units = [];
  made = 0;
  bytes = 0;

  /**
   * @param {WebGL2RenderingContext} gl
   * @param {boolean} floats whether floats can be drawn as such; else their bits are, as integers
   */
  constructor(gl, floats) {
    this.gl = gl;
    this.floats = floats;
    // They stand for tensors without elements: of floats, and of integers.
    this.nothing = [this.make(false, 1, 1), this.make(true, 1, 1)];
  }

  /**
   * @param {boolean} ints
   * @param {number} width
   * @param {number} height
   * @returns {Texture}
   */
  make(ints, width, height) {
    const { gl } = this;
    if (height > SIDE) {
      const most = 4 * SIDE * SIDE;
      const elements = `${4 * width * height} elements of a tensor`;
      throw new WebconvError('unsupported', `${elements} are too many: WebGL takes ${most}`);
    }
    const texture = { handle: gl.createTexture(), id: this.made++, ints, width, height };
    this.bytes += 16 * width * height;
    this.use(0, texture);
    gl.texStorage2D(gl.TEXTURE_2D, 1, this.format(ints).internal, width, height);
    for (const name of [gl.TEXTURE_MIN_FILTER, gl.TEXTURE_MAG_FILTER]) {
      gl.texParameteri(gl.TEXTURE_2D, name, gl.NEAREST);
    }
    return texture;
  }

  /**
   * A texture that is only uploaded.
   * @param {boolean} ints
   * @param {number} texels
   */
  lines(ints, texels) {
    if (!texels) return this.nothing[Number(ints)];
    return this.make(ints, Math.min(texels, SIDE), Math.ceil(texels / SIDE));
  }

  /**
   * A texture that is drawn to, with a tensor in it or one in each of several blocks.
   * @param {boolean} ints
   * @param {number} texels
   * @param {number} blocks
   */
  bands(ints, texels, blocks) {
    if (!texels) return this.nothing[Number(ints)];
    const { width, height } = bandSize(texels);
    const columns = Math.min(Math.floor(SIDE / width), blocks);
    return this.make(ints, width * columns, height * Math.ceil(blocks / columns));
  }

  /** @param {boolean} ints */
  format(ints) {
    const { gl } = this;
    return this.floats && !ints
      ? { internal: gl.RGBA32F, format: gl.RGBA, type: gl.FLOAT, Elements: Float32Array }
      : { internal: gl.RGBA32I, format: gl.RGBA_INTEGER, type: gl.INT, Elements: Int32Array };
  }

  /**
   * Makes a texture unit hold a texture.
   * @param {number} unit
   * @param {Texture} texture
   */
  use(unit, texture) {
    if (this.units[unit] === texture) return;
    this.gl.activeTexture(this.gl.TEXTURE0 + unit);
    this.gl.bindTexture(this.gl.TEXTURE_2D, texture.handle);
    this.units[unit] = texture;
  }

  /**
   * Fills the first elements of a texture that is only uploaded.
   * @param {Texture} texture
   * @param {TypedArray} data 32-bit elements
   */
  upload(texture, data) {
    const row = 4 * texture.width;
    const rows = Math.floor(data.length / row);
    if (rows) this.uploadRows(texture, 0, rows, data);
    if (rows * row === data.length) return;
    const last = new Int32Array(row);
    last.set(words(data).subarray(rows * row));
    this.uploadRows(texture, rows, 1, last);
  }

  /**
   * Fills a texture that is drawn to.
   * @param {Texture} texture
   * @param {TypedArray | null} data 32-bit elements, or zeros
   */
  uploadBands(texture, data) {
    const { width, height } = texture;
    const pixels = new Int32Array(4 * width * height);
    if (data) words(data).forEach((word, e) => (pixels[bandIndex(e, width)] = word));
    this.uploadRows(texture, 0, height, pixels);
  }

  /**
   * @param {Texture} texture
   * @param {number} y
   * @param {number} rows
   * @param {TypedArray} data
   */
  uploadRows(texture, y, rows, data) {
    const { gl } = this;
    const { width, ints } = texture;
    const { format, type, Elements } = this.format(ints);
    const buffer = /** @type {ArrayBuffer} */ (data.buffer);
    const elements = new Elements(buffer, data.byteOffset, 4 * width * rows);
    // Unit 0 need not be the active one.
    this.units[0] = undefined;
    this.use(0, texture);
    gl.texSubImage2D(gl.TEXTURE_2D, 0, 0, y, width, rows, format, type, elements);
  }

  /**
   * The first elements of a texture that was drawn to, 32-bit.
   * @param {Texture} texture
   * @param {number} elements
   * @param {TypedArrayConstructor} Result
   * @returns {TypedArray}
   */
  readBack(texture, elements, Result) {
    const { gl } = this;
    const result = new Result(elements);
    if (!elements) return result;
    const { width, height } = bandSize(Math.ceil(elements / 4));
    const { format, type, Elements } = this.format(texture.ints);
    const pixels = new Elements(4 * width * height);
    this.target([texture]);
    gl.readPixels(0, 0, width, height, format, type, pixels);
    const [to, from] = [words(result), words(pixels)];
    for (let e = 0; e < elements; e++) to[e] = from[bandIndex(e, width)];
    return result;
  }

  /**
   * Makes `textures`, which are of equal size, what is drawn to.
   * @param {Texture[]} textures
   */
  target(textures) {
    const { gl, frames } = this;
    const key = textures.map(({ id }) => id).join();
    const known = frames.get(key);
    const frame = known ?? gl.createFramebuffer();
    gl.bindFramebuffer(gl.FRAMEBUFFER, frame);
    if (known) return;
    frames.set(key, frame);
    const points = textures.map((_, i) => gl.COLOR_ATTACHMENT0 + i);
    textures.forEach(({ handle }, i) =>
      gl.framebufferTexture2D(gl.FRAMEBUFFER, points[i], gl.TEXTURE_2D, handle, 0),
    );
    gl.drawBuffers(points);
  }

  /** @param {Texture} texture */
  free(texture) {
    if (this.nothing.includes(texture)) return;
    this.bytes -= 16 * texture.width * texture.height;
    this.units = this.units.map((held) => (held === texture ? undefined : held));
    for (const [key, frame] of this.frames) {
      if (!key.split(',').includes(`${texture.id}`)) continue;
      this.gl.deleteFramebuffer(frame);
      this.frames.delete(key);
    }
    this.gl.deleteTexture(texture.handle);
  }
}
