/**
 * What `backends/webgpu/compile.py` writes and the modules of the WebGPU session read.
 */

import type { Dim, Sizes } from './types.d.ts';

/** What a shader binds: a slot, an input, a state as it was or as it will be, or weights. */
export type Resource =
  | ['slot' | 'input' | 'state' | 'next', number]
  | ['weights', buffer: number, offset: number, size: number];

/** A shader's position, the number of workgroups, and what it binds from binding 1 on. */
export type Dispatch = [shader: number, workgroups: Dim, resources: Resource[]];

/** Steps for `index` = 0 .. count - 1, which is among the sizes. */
export interface Repeat {
  index: string;
  count: Dim;
  body: Step[];
}

export type Step = Dispatch | Repeat;

export interface EntrySection {
  /** The first members of the uniform block; the indices of nested loops follow. */
  symbols: string[];
  /** Elements of the inputs and outputs; all have four bytes. */
  inputs: (sizes: Sizes) => number[];
  lengths: (sizes: Sizes) => number[];
  /** The first that fits is taken; the last one fits all sizes. */
  variants: VariantSection[];
}

export interface VariantSection {
  /** It fits the sizes at which all of these are 1. */
  ones: (sizes: Sizes) => number[];
  /** How deep loops are nested. */
  loops: number;
  /** Elements of the slots. */
  slots: (sizes: Sizes) => number[];
  /** The slot of each output. */
  outputs: number[];
  steps: Step[];
}

export interface ShaderSection {
  code: string;
  /** A letter per binding, from 0 on: u(niform), r(ead), w(rite), - (none). */
  binds: string;
}

export interface Section {
  /** Where each GPU buffer of weights ends. */
  weights: number[];
  shaders: ShaderSection[];
  entries: EntrySection[];
}

/** A dispatch at bound sizes; `offset` is that of its row in the uniform buffer. */
export interface Planned {
  step: Dispatch;
  groups: number;
  offset: number;
}

/** What `bind` gives. */
export interface WebgpuPlan {
  position: number;
  variant: VariantSection;
  /** The states that a run replaces, and their elements. */
  writes: number[];
  states: number[];
  slots: number[];
  inputs: number[];
  lengths: number[];
  dispatches: Planned[];
  /** Sizes and loop indices: a row of 256 bytes, `width` of them used, per iteration. */
  uniform: GPUBuffer;
  width: number;
  /** Bind groups by the copies that states lie in, made when `generation` was this. */
  groups: Map<string, Map<Dispatch, GPUBindGroup>>;
  generation: number;
}

/** Both copies of a state, and which of them holds it now. */
export interface StateBuffers {
  copies: { buffer: GPUBuffer; bytes: number }[];
  now: number;
}

export type Storage = Float32ArrayConstructor | Int32ArrayConstructor | Uint32ArrayConstructor;
