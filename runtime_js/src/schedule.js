// An entry that is done in stages: between them the host reads sizes, takes branches, counts loops.

import { Entry } from './entry.js';
import { checkGuards, size } from './shape.js';

/** @import { Binding, Block, DType, RepeatStep, Sizes, Step, TypedArray } from './types.d.ts' */

/** @typedef {{ data: TypedArray, shape: number[] }} Held what a slot holds, as the session has it */

/** @param {Held} held */
const scalar = ({ data }) => Number(data[0]);

/**
 * @param {Binding[]} bindings
 * @param {Held[]} slots
 * @param {Sizes} sizes
 */
function bind(bindings, slots, sizes) {
  for (const [symbol, slot, axis] of bindings) sizes[symbol] = slots[slot].shape[axis];
}

/** An entry with a schedule: see `webconv.ir.schedule`, which says what the steps mean. */
export class ScheduledEntry extends Entry {
  /**
   * @param {Held[]} values
   * @param {number[]} wanted
   * @param {Sizes} sizes
   */
  async compute(values, wanted, sizes) {
    const inner = { ...sizes };
    const results = await this.block(/** @type {Block} */ (this.type.schedule), [...values], inner);
    return wanted.map((position) => results[position]);
  }

  /**
   * @param {Block} block
   * @param {Held[]} slots
   * @param {Sizes} sizes
   */
  async block({ steps, results }, slots, sizes) {
    for (const step of steps) await this.step(step, slots, sizes);
    return results.map((slot) => slots[slot]);
  }

  /**
   * @param {Step} step
   * @param {Held[]} slots
   * @param {Sizes} sizes
   */
  async step(step, slots, sizes) {
    let results;
    if ('run' in step) {
      results = await this.stage(
        step.run,
        step.inputs.map((slot) => slots[slot]),
        sizes,
      );
    } else if ('read' in step) {
      step.symbols.forEach((symbol, k) => (sizes[symbol] = Number(slots[step.read].data[k])));
      return;
    } else if ('branch' in step) {
      const taken = step.branch === null ? size(step.on, sizes) : scalar(slots[step.branch]);
      results = await this.block(taken ? step.then : step.otherwise, slots, sizes);
    } else {
      results = await this.repeat(step, slots, sizes);
    }
    step.outputs.forEach((slot, k) => (slots[slot] = results[k]));
    if ('bindings' in step) bind(step.bindings, slots, sizes);
  }

  /**
   * @param {number} position
   * @param {Held[]} inputs
   * @param {Sizes} sizes
   */
  async stage(position, inputs, sizes) {
    const stage = this.runner.stages[position];
    checkGuards(stage.type.guards, sizes);
    return stage.compute(inputs, [...stage.outputs.keys()], sizes);
  }

  /**
   * @param {RepeatStep} step
   * @param {Held[]} slots
   * @param {Sizes} sizes
   */
  async repeat(step, slots, sizes) {
    const most = step.trips === null ? Infinity : scalar(slots[step.trips]);
    let going = step.condition === null || Boolean(scalar(slots[step.condition]));
    let carries = step.initial.map((slot) => slots[slot]);
    /** @type {Held[][]} */
    const stacks = step.stacked.map(() => []);
    for (let k = 0; going && k < most; k++) {
      const given = [this.number('i64', k), this.number('bool', Number(going)), ...carries];
      step.parameters.forEach((slot, i) => (slots[slot] = given[i]));
      bind(step.entering, slots, sizes);
      const [condition, ...results] = await this.block(step.repeat, slots, sizes);
      going = Boolean(scalar(condition));
      carries = results.splice(0, carries.length);
      results.forEach((held, i) => stacks[i].push(held));
    }
    const stacked = stacks.map((stack, i) => {
      const nothing = step.stacked[i].shape.slice(1).map((dim) => size(dim, sizes) || 0);
      const shape = [stack.length, ...(stack[0]?.shape ?? nothing)];
      return { data: this.join(stack, step.stacked[i].dtype), shape };
    });
    return [...carries, ...stacked];
  }

  /**
   * A scalar as the session has it.
   * @param {DType} dtype
   * @param {number} value
   * @returns {Held}
   */
  number(dtype, value) {
    const Storage = /** @type {any} */ (this.runner.session.storage(dtype));
    const big = Storage === BigInt64Array || Storage === BigUint64Array;
    return { data: Storage.of(big ? BigInt(value) : value), shape: [] };
  }

  /**
   * @param {Held[]} stack
   * @param {DType} dtype
   */
  join(stack, dtype) {
    const length = stack[0]?.data.length ?? 0;
    const out = /** @type {any} */ (
      new (this.runner.session.storage(dtype))(length * stack.length)
    );
    stack.forEach(({ data }, k) => out.set(data, k * length));
    return out;
  }
}
