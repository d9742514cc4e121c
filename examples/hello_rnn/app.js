import { load } from './hello_rnn_web/index.js';
import { describeRun, loadOptions, setState, showError } from '../page.js';

/** @type {NodeListOf<HTMLInputElement>} */
const fields = document.querySelectorAll('#inputs input');
const results = document.querySelectorAll('#output output');

try {
  const runner = await load(loadOptions());

  const update = async () => {
    const numbers = Array.from(fields, (field) => field.valueAsNumber);
    if (!numbers.every(Number.isFinite)) return; // a field is empty, or half typed
    setState('running');
    const started = performance.now();
    runner.inputs[0].set(numbers);
    await runner.run();
    const outputs = runner.outputs[0].toActual();
    results.forEach((result, unit) => (result.textContent = outputs[unit].toFixed(4)));
    setState('done', describeRun(runner, performance.now() - started));
  };

  setState('ready', 'Ready');
  for (const field of fields) field.addEventListener('input', () => update().catch(showError));
  await update();
} catch (error) {
  showError(error);
}
