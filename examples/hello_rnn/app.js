import * as page from '../page.js';

/** @type {NodeListOf<HTMLInputElement>} */
const fields = document.querySelectorAll('#inputs input');
/** @type {NodeListOf<HTMLOutputElement>} */
const results = document.querySelectorAll('#output output');

try {
  const runner = await page.loadModel(() => import('./hello_rnn_web/index.js'));

  const update = async () => {
    const numbers = Array.from(fields, (field) => field.valueAsNumber);
    if (!numbers.every(Number.isFinite)) return; // a field is empty, or half typed
    page.setState('running');
    const started = performance.now();
    runner.inputs[0].set(numbers);
    await runner.run();
    const outputs = runner.outputs[0].toActual();
    results.forEach((result, unit) => {
      result.textContent = outputs[unit].toFixed(4);
      result.style.setProperty('--value', outputs[unit]);
    });
    page.setState('done', page.describeRun(runner, performance.now() - started));
  };

  for (const field of fields) field.addEventListener('input', page.inTurn(update));
  await update();
} catch (error) {
  page.showError(error);
}
