import { draw } from './scenes.js';

/** @import { Digit, HeldOut, Scene } from './scenes.js' */

/** Sizes that a digit may have. */
const [SMALLEST, LARGEST] = [9, 16];
/** What the keys do to a digit: how far it goes, and how much larger it becomes. */
/** @type {Record<string, [x: number, y: number, size: number]>} */
const KEYS = {
  ArrowLeft: [-1, 0, 0],
  ArrowRight: [1, 0, 0],
  ArrowUp: [0, -1, 0],
  ArrowDown: [0, 1, 0],
  '+': [0, 0, 1],
  '-': [0, 0, -1],
};

/** Draws a picture on a canvas, a pixel for each value. */
export function paint(
  /** @type {HTMLCanvasElement} */ canvas,
  /** @type {Float32Array} */ picture,
  /** @type {number} */ width,
) {
  Object.assign(canvas, { width, height: picture.length / width });
  const image = new ImageData(width, canvas.height);
  const grey = new Uint8ClampedArray(picture.map((value) => 255 * value));
  grey.forEach((value, k) => image.data.set([value, value, value, 255], 4 * k));
  canvas.getContext('2d')?.putImageData(image, 0, 0);
}

/** A scene on a canvas, whose digits can be dragged. */
export class Board {
  /** @type {Scene} */
  scene = { digits: [], brightness: 1, seed: 0 };
  /** @type {Digit | undefined} the digit that was touched last */
  chosen;

  /**
   * @param {HTMLCanvasElement} canvas behind which stands what marks the chosen digit
   * @param {HeldOut} heldOut
   * @param {() => void} changed is called when the scene is another
   */
  constructor(canvas, heldOut, changed) {
    this.canvas = canvas;
    this.mark = /** @type {HTMLElement} */ (canvas.nextElementSibling);
    this.heldOut = heldOut;
    this.changed = changed;
    canvas.addEventListener('pointerdown', (event) => this.grab(event));
    canvas.addEventListener('keydown', (event) => {
      if (event.key === 'Delete') this.remove();
      else if (event.key in KEYS) this.change(...KEYS[event.key]);
      else return;
      event.preventDefault();
    });
  }

  /** What the models see. */
  get picture() {
    return draw(this.scene, this.heldOut);
  }

  /** @param {Scene} scene */
  show(scene) {
    this.scene = {
      ...scene,
      digits: scene.digits.map((digit) => /** @type {Digit} */ ([...digit])),
    };
    this.chosen = this.scene.digits.at(-1);
    this.update();
  }

  update() {
    paint(this.canvas, this.picture, this.heldOut.width);
    const { width, height } = this.heldOut;
    this.mark.hidden = !this.chosen;
    if (this.chosen) {
      const [, x, y, size] = this.chosen;
      const edges = {
        left: x / width,
        top: y / height,
        width: size / width,
        height: size / height,
      };
      for (const [edge, share] of Object.entries(edges)) {
        this.mark.style.setProperty(edge, `${100 * share}%`);
      }
    }
    this.changed();
  }

  /** @param {PointerEvent} event */
  grab(event) {
    const [x, y] = this.place(event);
    const { digits } = this.scene;
    const found = digits.findLast(([, a, b, n]) => x >= a && x < a + n && y >= b && y < b + n);
    if (!found) return;
    this.chosen = found;
    const [fromX, fromY] = [x - found[1], y - found[2]];
    const drag = (/** @type {PointerEvent} */ moved) => {
      const [atX, atY] = this.place(moved);
      this.change(Math.round(atX - fromX) - found[1], Math.round(atY - fromY) - found[2], 0);
    };
    this.canvas.setPointerCapture(event.pointerId);
    this.canvas.addEventListener('pointermove', drag);
    const end = () => this.canvas.removeEventListener('pointermove', drag);
    this.canvas.addEventListener('lostpointercapture', end, { once: true });
  }

  /**
   * Where the pointer is, in pixels of the scene.
   * @param {PointerEvent} event
   */
  place({ clientX, clientY }) {
    const { left, top, width } = this.canvas.getBoundingClientRect();
    const scale = this.heldOut.width / width;
    return [(clientX - left) * scale, (clientY - top) * scale];
  }

  /**
   * Moves the chosen digit, or makes it larger, as far as there is room.
   * @param {number} dx @param {number} dy @param {number} larger
   */
  change(dx, dy, larger) {
    if (!this.chosen) return;
    const [image, x, y, size] = this.chosen;
    const { width, height } = this.heldOut;
    const now = clamp(size + larger, SMALLEST, LARGEST);
    const after = [image, clamp(x + dx, 0, width - now), clamp(y + dy, 0, height - now), now];
    if (after.every((value, k) => value === this.chosen?.[k])) return;
    Object.assign(this.chosen, after);
    this.update();
  }

  /** Puts a digit where there is most room. @param {number} image */
  add(image) {
    const { width, height } = this.heldOut;
    const size = 11;
    const others = this.scene.digits.map(([, x, y, n]) => [x + (n - size) / 2, y + (n - size) / 2]);
    const room = (/** @type {number} */ x, /** @type {number} */ y) =>
      Math.min(
        ...[x, width - size - x, y, height - size - y],
        ...others.map(([a, b]) => Math.hypot(a - x, b - y) - size / 2),
      );
    let best = [0, 0];
    for (let y = 1; y < height - size; y++) {
      for (let x = 1; x < width - size; x++) {
        if (room(x, y) > room(best[0], best[1])) best = [x, y];
      }
    }
    this.chosen = /** @type {Digit} */ ([image, best[0], best[1], size]);
    this.scene.digits.push(this.chosen);
    this.update();
  }

  /** Takes out the chosen digit. */
  remove() {
    this.scene.digits = this.scene.digits.filter((digit) => digit !== this.chosen);
    this.chosen = this.scene.digits.at(-1);
    this.update();
  }
}

const clamp = (
  /** @type {number} */ value,
  /** @type {number} */ low,
  /** @type {number} */ high,
) => Math.min(high, Math.max(low, value));
