// One WebGPU device and one WebGL context for all models of a page, and each kernel compiled once.
//
// Only the browser's own objects are shared: sessions do what they do on a page of their own.

let device;

/** A device that gives the same modules, layouts and pipelines for the same descriptions. */
export async function shareDevice() {
  if (device) return device;
  const adapter = await navigator.gpu.requestAdapter();
  device = await adapter.requestDevice();
  const numbers = new Map();
  const number = (object) => {
    if (!numbers.has(object)) numbers.set(object, numbers.size);
    return numbers.get(object);
  };
  const written = (_key, value) => (numbers.has(value) ? `object ${numbers.get(value)}` : value);
  for (const name of [
    'createShaderModule',
    'createBindGroupLayout',
    'createPipelineLayout',
    'createComputePipelineAsync',
  ]) {
    const make = device[name].bind(device);
    const known = new Map();
    device[name] = (description) => {
      const key = JSON.stringify(description, written);
      if (!known.has(key)) known.set(key, make(description));
      number(known.get(key));
      return known.get(key);
    };
  }
  return device;
}

let context;

/** What every canvas gives from now on; `clear` frees all textures. */
export function shareContext() {
  if (context) return context;
  const open = OffscreenCanvas.prototype.getContext;
  OffscreenCanvas.prototype.getContext = function (kind, attributes) {
    context.gl ??= shared(open.call(this, kind, attributes), context.made);
    return context.gl;
  };
  context = { gl: undefined, made: [], clear };
  return context;
}

function clear() {
  for (const free of context.made.splice(0)) free();
}

/** @param {any} gl */
function shared(gl, made) {
  const native = Object.getPrototypeOf(gl);
  const call = (name, ...args) => native[name].apply(gl, args);
  for (const kind of ['Texture', 'Framebuffer']) {
    gl[`create${kind}`] = () => {
      const object = call(`create${kind}`);
      made.push(() => call(`delete${kind}`, object));
      return object;
    };
  }
  // Losing a shared context would end the other models.
  gl.getExtension = (name) => (name === 'WEBGL_lose_context' ? null : call('getExtension', name));
  shareShaders(gl, call);
  sharePrograms(gl, call);
  return gl;
}

/** Shaders are made when their text is known, one for each text. */
function shareShaders(gl, call) {
  const known = new Map();
  gl.createShader = (type) => ({ type });
  gl.shaderSource = (shader, source) => (shader.source = source);
  gl.compileShader = (shader) => {
    const key = `${shader.type} ${shader.source}`;
    if (!known.has(key)) {
      const own = call('createShader', shader.type);
      call('shaderSource', own, shader.source);
      call('compileShader', own);
      known.set(key, own);
    }
    shader.own = known.get(key);
  };
  gl.getShaderInfoLog = (shader) => call('getShaderInfoLog', shader.own);
}

/** Programs are made when they are linked, one for each set of shaders. */
function sharePrograms(gl, call) {
  const known = new Map();
  gl.createProgram = () => ({ shaders: [] });
  gl.attachShader = (program, shader) => program.shaders.push(shader);
  gl.getAttachedShaders = (program) => program.shaders;
  gl.linkProgram = (program) => {
    const key = program.shaders.map(({ type, source }) => `${type} ${source}`).join();
    if (!known.has(key)) {
      const own = call('createProgram');
      for (const shader of program.shaders) call('attachShader', own, shader.own);
      call('linkProgram', own);
      known.set(key, own);
    }
    program.own = known.get(key);
  };
  for (const name of [
    'useProgram',
    'getProgramParameter',
    'getProgramInfoLog',
    'getUniformLocation',
  ]) {
    gl[name] = (program, ...rest) => call(name, program.own, ...rest);
  }
}
