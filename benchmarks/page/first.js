/**
 * The script of a page that does nothing but load one model and run it once; `first.html` has it.
 *
 * The clock starts when the page stands, as PEERS.md counts it: fetching the runtime's code, the
 * model and the first run are in it, starting the browser's page is not.
 */
import { joined, open, read } from './sides.js';

// A new page's own work (painting, its icon) takes some hundred milliseconds on two cores.
const SETTLED_MS = 700;

const { choice, inputs } = JSON.parse(decodeURIComponent(location.hash.slice(1)));
const feeds = await read(inputs);
await new Promise((resolve) => setTimeout(resolve, SETTLED_MS));
const start = performance.now();
try {
  const side = await open(choice, feeds);
  const output = Array.from(joined(await side.run()));
  Object.assign(globalThis, { first: { milliseconds: performance.now() - start, output } });
} catch (error) {
  Object.assign(globalThis, { first: { error: String(error) } });
}
