/**
 * The script of a page that does nothing but load one model and run it once; `first.html` has it.
 *
 * The clock starts with the navigation, so fetching this page and the runtime's code is in it.
 */
import { open } from './sides.js';

const { choice, input } = JSON.parse(decodeURIComponent(location.hash.slice(1)));
try {
  const side = await open(choice, input);
  const output = Array.from(await side.run());
  Object.assign(globalThis, { first: { milliseconds: performance.now(), output } });
} catch (error) {
  Object.assign(globalThis, { first: { error: String(error) } });
}
