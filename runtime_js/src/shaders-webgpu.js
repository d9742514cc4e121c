// The compute pipelines of a model, each made when it is first needed.

/** @import { Device } from './device-webgpu.js' */
/** @import { ShaderSection } from './webgpu.d.ts' */

/** @type {Record<string, GPUBufferBindingLayout>} */
const LAYOUTS = {
  u: { type: 'uniform', hasDynamicOffset: true },
  r: { type: 'read-only-storage' },
  w: { type: 'storage' },
};

export class Shaders {
  /** @type {GPUComputePipeline[]} */
  pipelines = [];
  /** @type {Map<string, GPUBindGroupLayout>} */
  layouts = new Map();

  /**
   * @param {Device} device
   * @param {ShaderSection[]} sources
   */
  constructor(device, sources) {
    this.device = device;
    this.sources = sources;
  }

  /**
   * Compiles a shader; false if it is there already.
   * @param {number} shader
   */
  async compile(shader) {
    if (this.pipelines[shader]) return false;
    const { code, binds } = this.sources[shader];
    this.pipelines[shader] = await this.device.checked(() => {
      const { gpu } = this.device;
      const layout = gpu.createPipelineLayout({ bindGroupLayouts: [this.layout(binds)] });
      const module = gpu.createShaderModule({ code });
      return gpu.createComputePipelineAsync({ layout, compute: { module } });
    });
    return true;
  }

  /** @param {number} shader */
  takesSizes(shader) {
    return this.sources[shader].binds[0] === 'u';
  }

  /** @param {string} binds */
  layout(binds) {
    const known = this.layouts.get(binds);
    if (known) return known;
    const made = this.device.gpu.createBindGroupLayout({
      entries: [...binds].flatMap((letter, binding) =>
        letter === '-' ? [] : [{ binding, visibility: 4, buffer: LAYOUTS[letter] }],
      ),
    });
    this.layouts.set(binds, made);
    return made;
  }

  /**
   * @param {number} shader
   * @param {GPUBufferBinding[]} resources from binding 1 on
   * @param {GPUBufferBinding} sizes of binding 0, for shaders that take sizes
   */
  group(shader, resources, sizes) {
    const entries = resources.map((resource, k) => ({ binding: k + 1, resource }));
    if (this.takesSizes(shader)) entries.push({ binding: 0, resource: sizes });
    return this.device.gpu.createBindGroup({
      layout: this.layout(this.sources[shader].binds),
      entries,
    });
  }
}
