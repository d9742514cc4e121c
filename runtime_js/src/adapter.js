// Software adapters compute right but slowly: a page wants them only if it says so.

import { WebconvError } from './errors.js';

const SOFTWARE = /swiftshader|llvmpipe|lavapipe|software|basic render/i;

/**
 * @param {string} name what the browser says of the adapter
 * @param {{ allowSoftware?: boolean }} options
 * @param {boolean} [isFallback] the browser's own word that it is a software adapter
 */
export function refuseSoftware(name, { allowSoftware }, isFallback = false) {
  if (!allowSoftware && (isFallback || SOFTWARE.test(name))) {
    throw new WebconvError('no-backend', `the adapter is software (${name}); see allowSoftware`);
  }
}
