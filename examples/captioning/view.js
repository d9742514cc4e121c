import { element } from '../page.js';
import { paint } from './board.js';

/** @import { Beam } from './captions.js' */
/** @import { Image } from './scenes.js' */

/**
 * @param {string} said so far
 * @param {string} [right] what should have been said, once all is
 */
export function showCaption(said, right) {
  element('caption').textContent = said;
  element('caption').dataset.verdict = right === undefined ? '' : said === right;
  element('truth').textContent = right === undefined || said === right ? '' : `It shows ${right}.`;
}

/** @param {Beam[]} beams the likeliest first */
export function showBeams(beams) {
  const rows = beams.map(({ caption, probability, done }) => {
    const row = document.createElement('li');
    const names = ['span', 'meter', 'output'];
    const made = names.map((name) => row.appendChild(document.createElement(name)));
    made[0].textContent = caption + (done ? '' : ' …');
    /** @type {HTMLMeterElement} */ (made[1]).value = probability;
    made[2].textContent = `${(100 * probability).toFixed(1)} %`;
    made[2].className = 'number';
    return row;
  });
  element('beams').replaceChildren(...rows);
}

/**
 * Offers a digit of each class to put in.
 * @param {Image[]} images
 * @param {(image: number) => void} use
 */
export function offerDigits(images, use) {
  for (let label = 0; label < 10; label++) {
    const image = mostTypical(images, label);
    const button = element('digits').appendChild(document.createElement('button'));
    Object.assign(button, { type: 'button', title: `Put in a ${label}` });
    paint(button.appendChild(document.createElement('canvas')), images[image].pixels, 8);
    button.addEventListener('click', () => use(image));
  }
}

/**
 * The place of the image of a class that is nearest to the mean of all of them.
 * @param {Image[]} images
 * @param {number} label
 */
function mostTypical(images, label) {
  const own = images.filter((image) => image.label === label);
  const mean = own[0].pixels.map((_, k) => own.reduce((sum, { pixels }) => sum + pixels[k], 0));
  const far = (/** @type {Image} */ { pixels }) =>
    pixels.reduce((sum, value, k) => sum + (value - mean[k] / own.length) ** 2, 0);
  return images.indexOf(own.reduce((best, image) => (far(image) < far(best) ? image : best)));
}
