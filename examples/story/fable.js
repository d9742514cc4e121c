/** The fable as words to click, three of which begin the story. */

/**
 * Shows a button for each word; only one of them is a stop of the Tab key, arrow keys go on.
 * @param {HTMLElement} group
 * @param {string[]} words
 * @param {(place: number) => void} use is called with the place of the word that is clicked
 */
export function showFable(group, words, use) {
  const buttons = words.map((word, place) => {
    const button = document.createElement('button');
    button.textContent = word;
    button.tabIndex = place ? -1 : 0;
    button.addEventListener('click', () => use(place));
    return button;
  });
  group.append(...buttons);
  group.addEventListener('focusin', ({ target }) => {
    for (const button of buttons) button.tabIndex = button === target ? 0 : -1;
  });
  group.addEventListener('keydown', ({ key, target }) => {
    const place = buttons.findIndex((button) => button === target);
    if (key === 'ArrowRight') buttons[place + 1]?.focus();
    if (key === 'ArrowLeft') buttons[place - 1]?.focus();
  });
}

/**
 * Marks the words that begin the story, in their order.
 * @param {HTMLElement} group
 * @param {number[]} places
 */
export function markChosen(group, places) {
  for (const [place, button] of [...group.children].entries()) {
    const order = places.indexOf(place) + 1;
    /** @type {HTMLElement} */ (button).dataset.order = String(order || '');
    button.ariaPressed = String(order > 0);
  }
}
