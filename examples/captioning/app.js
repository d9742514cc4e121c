import * as page from '../page.js';
import { Board } from './board.js';
import { beams, captionOf, greedy } from './captions.js';
import { draw, readHeldOut } from './scenes.js';
import { offerDigits, showBeams, showCaption } from './view.js';

const { element } = page;
const heldOut = readHeldOut(await page.fetchJson('heldout.json'));

/** @type {any} both models, and the words */
let captioner;
/** Counts what was asked for: of older scenes no caption is shown. */
let asked = 0;
/** The scene that is shown next. */
let next = Number(page.query.get('seed') ?? Math.floor(Math.random() * heldOut.scenes.length));
/** @type {string | undefined} what should be said of the scene, if it is one that was held out */
let right;

/** Says what the scene shows, a word at a time for the eye. */
async function answer() {
  if (!captioner) return;
  const mine = asked;
  const { picture, scene } = board;
  showBeams([]);
  showCaption('');
  if (!scene.digits.length) return page.setState('ready');
  page.setState('running');
  let [said, words, started, spent] = ['', 0, performance.now(), 0];
  const steps = width() === '1' ? greedy(captioner, picture) : beams(captioner, picture, +width());
  for await (const step of steps) {
    spent += performance.now() - started;
    await new Promise((resolve) => setTimeout(resolve, 40));
    if (mine !== asked) return;
    if (typeof step !== 'string') showBeams(step);
    said = typeof step === 'string' ? `${said} ${step}`.trim() : step[0].caption;
    showCaption(said);
    words += 1;
    started = performance.now();
  }
  if (mine !== asked) return;
  showCaption(said, right);
  page.setState('ready', page.describeRun(captioner.decoder, spent / words, 'word'));
}

/** Captions the thousand held-out scenes. */
async function measure() {
  if (!captioner) return;
  const mine = asked;
  page.setState('running', 'Measuring');
  const { scenes } = heldOut;
  const started = performance.now();
  let count = 0;
  for (const [k, scene] of scenes.entries()) {
    const said = await captionOf(captioner, draw(scene, heldOut), +width());
    if (said === scene.caption) count++;
    if (mine !== asked) return;
    if (k % 50) continue;
    element('accuracy').textContent = `${count} of ${k + 1}`;
    await new Promise((resolve) => setTimeout(resolve));
  }
  const share = ((100 * count) / scenes.length).toFixed(1);
  element('accuracy').textContent = `${share} % of ${scenes.length} captions right in every word`;
  const each = (performance.now() - started) / scenes.length;
  page.setState('done', page.describeRun(captioner.decoder, each, 'scene'));
}

function another() {
  const scene = heldOut.scenes[next++ % heldOut.scenes.length];
  board.show(scene);
  right = scene.caption;
}

/** A GPU device for both models; without, each finds a backend of its own. */
async function openDevice() {
  const { backendOrder = ['webgpu'], allowSoftware } = page.loadOptions();
  if (!backendOrder.includes('webgpu')) return undefined;
  const adapter = await navigator.gpu?.requestAdapter({ powerPreference: 'high-performance' });
  if (adapter?.info.isFallbackAdapter && !allowSoftware) return undefined;
  return adapter?.requestDevice();
}

async function loadModels() {
  const device = await openDevice();
  /** @param {() => Promise<any>} open */
  const load = (open) =>
    page.loadModel(async () => {
      const bundle = await open();
      return { load: (options) => bundle.load({ ...options, device }) };
    });
  const encoder = await load(() => import('./encoder_web/index.js'));
  const decoder = await load(() => import('./decoder_web/index.js'));
  captioner = { encoder, decoder, ...heldOut };
  await answer();
}

/** @param {() => Promise<void>} action done in turn, since states are for one at a time */
const doing = (action) => () => (++asked, page.inTurn(action)());

const width = page.offerChoice('width', doing(answer));
const board = new Board(element('scene'), heldOut, () => {
  right = undefined;
  doing(answer)();
});
offerDigits(heldOut.images, (image) => board.add(image));
another();
element('another').addEventListener('click', another);
element('smaller').addEventListener('click', () => board.change(0, 0, -1));
element('larger').addEventListener('click', () => board.change(0, 0, 1));
element('remove').addEventListener('click', () => board.remove());
element('measure').addEventListener('click', doing(measure));
page.inTurn(loadModels)();
