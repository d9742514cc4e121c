// WebGL programs: compiled, linked, and made the current one with values of their uniforms.

import { WebconvError } from './errors.js';

/** @import { SessionContext } from './types.d.ts' */

/**
 * @typedef {{ code: string, samplers: string[], sizes: string[] }} Description
 * @typedef {{ handle: WebGLProgram, places: (WebGLUniformLocation | null)[], values: number[] }} Program
 */

const VERTEX = `#version 300 es
void main() {
  gl_Position = vec4(gl_VertexID == 1 ? 3 : -1, gl_VertexID == 2 ? 3 : -1, 0, 1);
}`;

/** @param {number} ms */
export const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

export class Programs {
  /** @type {WebGLShader | undefined} */
  vertex = undefined;
  /** @type {Program | undefined} */
  current = undefined;

  /**
   * @param {WebGL2RenderingContext} gl
   * @param {string} head what stands before the code of all
   * @param {() => void} check throws if the context is gone
   */
  constructor(gl, head, check) {
    this.gl = gl;
    this.head = `#version 300 es\n${head}`;
    this.check = check;
  }

  /**
   * All at once, so that the browser may compile them in parallel.
   * @param {Description[]} descriptions
   * @param {SessionContext['progress']} progress
   * @returns {Promise<Program[]>}
   */
  async compile(descriptions, progress) {
    const { gl } = this;
    const parallel = gl.getExtension('KHR_parallel_shader_compile');
    const handles = descriptions.map(({ code }) => this.link(code));
    const programs = [];
    for (const [i, handle] of handles.entries()) {
      progress('compile', i, handles.length);
      // A lost context says that everything is complete.
      while (parallel && !gl.getProgramParameter(handle, parallel.COMPLETION_STATUS_KHR)) {
        await pause(1);
      }
      programs.push(this.linked(handle, descriptions[i]));
    }
    progress('compile', handles.length, handles.length);
    return programs;
  }

  /**
   * One, waited for.
   * @param {Description} description
   */
  make(description) {
    return this.linked(this.link(description.code), description);
  }

  /**
   * Starts to compile a program.
   * @param {string} code
   */
  link(code) {
    const { gl } = this;
    const handle = gl.createProgram();
    this.vertex ??= this.shader(gl.VERTEX_SHADER, VERTEX);
    gl.attachShader(handle, this.vertex);
    gl.attachShader(handle, this.shader(gl.FRAGMENT_SHADER, this.head + code));
    gl.linkProgram(handle);
    return handle;
  }

  /**
   * @param {number} type
   * @param {string} source
   */
  shader(type, source) {
    const shader = /** @type {WebGLShader} */ (this.gl.createShader(type));
    this.gl.shaderSource(shader, source);
    this.gl.compileShader(shader);
    return shader;
  }

  /**
   * @param {WebGLProgram} handle
   * @param {Description} description
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
    this.current = undefined;
    samplers.forEach((name, unit) => gl.uniform1i(gl.getUniformLocation(handle, name), unit));
    return { handle, places: sizes.map((name) => gl.getUniformLocation(handle, name)), values: [] };
  }

  /**
   * Makes a program the current one, its uniforms of these values.
   * @param {Program} program
   * @param {number[]} values
   */
  use(program, values) {
    const { gl } = this;
    if (this.current !== program) gl.useProgram((this.current = program).handle);
    values.forEach((value, i) => {
      if (program.values[i] !== value) gl.uniform1i(program.places[i], (program.values[i] = value));
    });
  }
}
