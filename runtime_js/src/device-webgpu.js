// A WebGPU device, the runner's own or one that the page shares, and the errors that it reports.

import { refuseSoftware } from './adapter.js';
import { WebconvError } from './errors.js';

/** @import { LoadOptions, TypedArray } from './types.d.ts' */

/** @type {GPUErrorFilter[]} */
const FILTERS = ['out-of-memory', 'internal', 'validation'];

export class Device {
  /** @type {GPUDeviceLostInfo | undefined} */
  lost;

  /**
   * @param {GPUDevice} gpu
   * @param {string} adapter
   * @param {boolean} own
   */
  constructor(gpu, adapter, own) {
    this.gpu = gpu;
    this.adapter = adapter;
    this.own = own;
    gpu.lost.then((info) => {
      this.lost = info;
    });
  }

  /** @param {LoadOptions} options */
  static async open(options) {
    const shared = /** @type {GPUDevice | undefined} */ (options.device);
    if (shared) return new Device(shared, nameOf(shared.adapterInfo), false);
    const adapter = await globalThis.navigator?.gpu?.requestAdapter({
      powerPreference: 'high-performance',
    });
    if (!adapter) throw new WebconvError('no-backend', 'there is no WebGPU adapter');
    const name = nameOf(adapter.info);
    refuseSoftware(name, options, adapter.info.isFallbackAdapter);
    return new Device(await adapter.requestDevice(), name, true);
  }

  /**
   * What `task` gives, unless WebGPU reports errors of the calls that it makes at once.
   * @template T
   * @param {() => T | Promise<T>} task
   * @returns {Promise<T>}
   */
  async checked(task) {
    const { gpu } = this;
    if (this.lost) throw lostError(this.lost);
    for (const filter of FILTERS) gpu.pushErrorScope(filter);
    const result = new Promise((resolve) => resolve(task()));
    const scopes = Promise.all(FILTERS.map(() => gpu.popErrorScope()));
    const [found, value] = await Promise.allSettled([scopes, result]);
    if (value.status === 'rejected' && value.reason instanceof DOMException) {
      // What a lost device was asked for may fail before the loss is told.
      await Promise.race([gpu.lost, new Promise((resolve) => setTimeout(resolve, 100))]);
    }
    if (this.lost) throw lostError(this.lost);
    const error = found.status === 'fulfilled' && found.value.find(Boolean);
    if (error) throw reportedError(error);
    if (value.status === 'rejected') throw value.reason;
    return /** @type {T} */ (value.value);
  }

  /**
   * @param {GPUBuffer} target
   * @param {TypedArray} data
   */
  write(target, { buffer, byteOffset, byteLength }) {
    if (byteLength) this.gpu.queue.writeBuffer(target, 0, buffer, byteOffset, byteLength);
  }

  dispose() {
    if (this.own) this.gpu.destroy();
  }
}

/** @param {GPUAdapterInfo} [info] */
const nameOf = (info) =>
  info ? [info.vendor, info.architecture, info.description].filter(Boolean).join(' ') : '';

/** @param {GPUDeviceLostInfo} info */
const lostError = ({ message, reason }) =>
  new WebconvError('device-lost', `the GPU device was lost: ${message || reason}`);

/** @param {GPUError} error */
const reportedError = (error) =>
  error instanceof GPUOutOfMemoryError
    ? new WebconvError('out-of-memory', `the GPU has not enough memory: ${error.message}`)
    : new WebconvError('no-backend', `WebGPU reports an error: ${error.message}`);
