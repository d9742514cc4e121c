// Stands for a bundle's index.js while page.js is checked.

import type { BackendName, LoadOptions } from './src/types.d.ts';

export declare function load(options?: LoadOptions): Promise<any>;
export declare function getBackendAvailability(): {
  status: Partial<Record<BackendName, boolean>>;
  defaultOrder: BackendName[];
};
