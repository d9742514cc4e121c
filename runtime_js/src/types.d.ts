/// <reference lib="esnext.disposable" />

/**
 * The types of the runner, and the contract between the runner and the backends' sessions.
 *
 * A bundle has a common part, `model-<hash>.js` (a `Model`), and for every backend a module of its
 * own, `kernels-<hash>.<wasm|wgsl|glsl>.js` (a `Section`), so that a page fetches one backend only.
 * Names out of a model are hostile, so between runner and session inputs, outputs and states go by
 * their position in the descriptor, never by name.
 */

// ---------------------------------------------------------------------------------------------
// Data

export type DType =
  'f32' | 'f16' | 'f64' | 'i32' | 'u32' | 'i8' | 'u8' | 'i16' | 'u16' | 'bool' | 'i64' | 'u64';

export type TypedArray =
  | Float32Array
  | Float64Array
  | Int32Array
  | Uint32Array
  | Int16Array
  | Uint16Array
  | Int8Array
  | Uint8Array
  | Uint8ClampedArray
  | BigInt64Array
  | BigUint64Array;

export type TypedArrayConstructor =
  | Float32ArrayConstructor
  | Int32ArrayConstructor
  | Uint32ArrayConstructor
  | Int16ArrayConstructor
  | Uint16ArrayConstructor
  | Int8ArrayConstructor
  | Uint8ArrayConstructor
  | BigInt64ArrayConstructor
  | BigUint64ArrayConstructor;

/** The values of the symbols. It has no prototype, so any name is a key. */
export type Sizes = Record<string, number>;

/** A size: a number, the name of a symbol, or code over the symbols (see `size` in shape.js). */
export type Dim = number | string | ((sizes: Sizes) => number);

// ---------------------------------------------------------------------------------------------
// The descriptor

export interface TensorType {
  name: string;
  /** What a page gives and gets, and what the kernels read and write. */
  dtype: DType;
  shape: Dim[];
  /** The number of rows that the input looks up; ids lie in [0, vocabulary). */
  vocabulary?: number;
  /**
   * Of an input or output that is a list: its sequences lie one after another, and the input at
   * this position has their lengths, which pages do not see.
   */
  lengths?: number;
  /** Of an input that is a list: the rows that each sequence has at least, if more than one. */
  least?: number;
  /** Of an output that is a list: how many rows more its sequences have than the lengths say. */
  more?: number;
}

export interface StateType extends TensorType {
  /** Which axis `states.select` reorders; null if all rows have the state together. */
  batchAxis?: number | null;
  /** The first value, broadcast to `shape`; zeros if absent. */
  initial?: { data: number[]; shape: number[] };
}

export interface EntryType {
  name: string;
  /** True for a stage: an entry that only schedules run. */
  hidden?: boolean;
  symbols: string[];
  inputs: TensorType[];
  /** Symbols that elements of integer inputs are: [symbol, position of the input, element]. */
  values?: [string, number, number][];
  outputs: TensorType[];
  /** Pairs of sizes that must be equal. */
  guards: [Dim, Dim][];
  /** Positions in `Model.states` of the states that it reads, and of those that it writes. */
  reads: number[];
  writes: number[];
  /** What is done instead of kernels, by `ScheduledEntry`; its inputs are in the first slots. */
  schedule?: Block;
}

/** Steps over slots, and the slots of what they give (`webconv.ir.schedule`). */
export interface Block {
  steps: Step[];
  results: number[];
}

/** [symbol, slot, axis]: the symbol is the size of an axis of what is in the slot. */
export type Binding = [string, number, number];

export type Step = RunStep | ReadStep | BranchStep | RepeatStep;

export interface RunStep {
  /** The position of the stage in `Model.entries`. */
  run: number;
  inputs: number[];
  outputs: number[];
}

export interface ReadStep {
  read: number;
  symbols: string[];
}

export interface BranchStep {
  /** The slot of the condition; null if `on` is it. */
  branch: number | null;
  on: Dim;
  then: Block;
  otherwise: Block;
  outputs: number[];
  bindings: Binding[];
}

export interface RepeatStep {
  repeat: Block;
  trips: number | null;
  condition: number | null;
  initial: number[];
  parameters: number[];
  outputs: number[];
  stacked: TensorType[];
  entering: Binding[];
  bindings: Binding[];
}

/** A file that is fetched. `digest` is SHA-256 in hex. */
export interface BundleFile {
  file: string;
  url: URL;
  bytes: number;
  digest: string;
}

export interface Model {
  format: number;
  name: string;
  /** The digest of the file that the model was converted from. */
  source: string;
  /** The first is `main`, or what `load` gives. */
  entries: EntryType[];
  states: StateType[];
  /** The class `States` of states.js, if there are any. */
  States?: any;
  /** The class `ScheduledEntry` of schedule.js, if an entry has a schedule. */
  ScheduledEntry?: any;
  /** The class `ListEntry` of lists.js, if an input or output is a list. */
  ListEntry?: any;
  /** In order: joined, they are the address space in which the sections' weight offsets count. */
  weights: BundleFile[];
  /** The backends of this bundle in the order in which they are tried by default. */
  backends: BackendName[];
}

// ---------------------------------------------------------------------------------------------
// What a backend implements

export type BackendName = 'wasm' | 'webgpu' | 'webgl';

/**
 * A backend's two modules: its session, and `kernels-<hash>.*.js`. `section` is
 * `Compiled.descriptor` as JavaScript: a `webconv.ir.dims.Dim` in it becomes a `Dim`,
 * `webconv.backends.dims_js.Code` the code that it is. `files` are `Compiled.files` by suffix
 * (`simd.wasm`).
 */
export type BackendModules = [
  { createSession: CreateSession },
  { section: any; files: Record<string, BundleFile> },
];

/**
 * Exported by each `session-<backend>.js`. It compiles everything and puts the weights into place.
 * It throws a WebconvError of code `no-backend` if the backend is not to be had on this machine
 * (software adapters too: `refuseSoftware` in adapter.js), or of another code as fits.
 */
export type CreateSession = (context: SessionContext) => Promise<Session>;

export interface SessionContext {
  model: Model;
  section: any;
  /** The verified bytes of a file of the backend. */
  file(suffix: string): Promise<Uint8Array<ArrayBuffer>>;
  weights: Weights;
  options: LoadOptions;
  /** Reports `onProgress({ phase, loaded, total })`; `fetch` is reported by the runner. */
  progress(phase: 'compile' | 'upload', loaded: number, total: number): void;
}

export interface Weights {
  /** The end of the last segment. */
  bytes: number;
  /**
   * Streams all files into place at once: `place(offset, bytes)` is called once for each file and
   * gives the memory for it (a view of wasm memory, of a mapped GPU buffer, or a new array), in
   * which the digest is checked. Rejects with `integrity`, `network` or `aborted`. The views that
   * `place` gave hold the bytes when it resolves.
   */
  load(place: (offset: number, bytes: number) => Uint8Array<ArrayBuffer>): Promise<void>;
}

/**
 * A loaded model on one backend. The runner never calls into a session while a call is under way,
 * and calls nothing after `dispose`.
 */
export interface Session {
  /** Which of several forms runs, for `report`: `relaxed`, `simd`, `float`, `bits`, ... */
  readonly variant: string;
  /** The adapter's name, as the browser gives it. */
  readonly adapter?: string;
  /** Counts since the start, for `webconv bench`: dispatches, submits, draws, pipelines, ... */
  readonly stats: Record<string, number>;
  /** The element type in which inputs, outputs and states of a dtype are handed over. */
  storage(dtype: DType): TypedArrayConstructor;
  /**
   * Prepares an entry (its position) for sizes: called once for each, the runner keeps what it
   * gives and hands it to every run of these sizes. Nothing may be allocated or compiled after.
   */
  bind(entry: number, sizes: Sizes): Plan | Promise<Plan>;
  /**
   * One run: `inputs` in the entry's order, each in its storage type; gives the outputs at the
   * positions `fetch`, as fresh copies in their storage type. Only these are read back. States
   * are as `setState` or the last run left them; a run that rejects leaves them alone.
   */
  run(plan: Plan, inputs: TypedArray[], fetch: number[]): Promise<TypedArray[]> | TypedArray[];
  /** Makes a state (its position) hold `data`, or zeros; called before any run that reads it. */
  setState(state: number, shape: number[], data: TypedArray | null): void | Promise<void>;
  /** A copy of what a state holds. */
  getState(state: number): TypedArray | Promise<TypedArray>;
  /**
   * Makes a state hold the rows `rows` of what it holds, along `axis` of its present `shape`, on
   * the device. Optional: without it the runner does it by getState and setState.
   */
  selectState?(state: number, shape: number[], axis: number, rows: number[]): void | Promise<void>;
  /** Gives back what a plan holds; the runner keeps a limited number of plans. */
  release?(plan: Plan): void;
  /** Gives back everything. */
  dispose(): void;
}

/** What `bind` gives: the session's own affair. */
export type Plan = any;

// ---------------------------------------------------------------------------------------------
// What a page uses

export type ErrorCode =
  | 'input-name'
  | 'dtype'
  | 'shape'
  | 'shape-ambiguous'
  | 'range'
  | 'vocabulary'
  | 'integrity'
  | 'network'
  | 'no-backend'
  | 'device-lost'
  | 'context-lost'
  | 'out-of-memory'
  | 'aborted'
  | 'disposed'
  | 'unsupported';

export interface Progress {
  phase: 'fetch' | 'compile' | 'upload';
  loaded: number;
  total: number;
}

export interface LoadOptions {
  /** Which backends to try, in order. */
  backendOrder?: BackendName | BackendName[];
  onProgress?: (progress: Progress) => void;
  signal?: AbortSignal;
  /** A GPUDevice to share; it is not destroyed by `dispose`. */
  device?: any;
  /** Gives another address for a file of the bundle. */
  resolve?: (file: string, url: URL) => string | URL;
  /** Used instead of the global `fetch`. */
  fetch?: (url: string | URL, init: RequestInit) => Promise<Response>;
  /** Whether a GPU backend may run on a software adapter. */
  allowSoftware?: boolean;
  /** Which of a backend's forms to run (`simd`, `relaxed`), for tests; the best if absent. */
  variant?: string;
}

/** Numbers, nested or flat: nested ones give the shape. */
export type Numbers = ArrayLike<number | bigint | boolean> | NestedNumbers[];
export type NestedNumbers = number | bigint | boolean | NestedNumbers[];
/** What `set` and `run` take. */
export type InputData = Numbers | { data: Numbers; shape?: number[] };

/** A list of sequences, which agree in all but the first size. */
export type ListData = InputData[];

/** What `run` gives; of a list, an array of these. */
export interface Tensor {
  data: TypedArray;
  shape: number[];
  dtype: DType;
}

export interface RunOptions<Name extends PropertyKey = string> {
  /** The name or names of the outputs to read back; all of them if absent. */
  fetch?: Name | readonly Name[];
  signal?: AbortSignal;
}

export interface Report {
  backend: BackendName;
  variant: string;
  adapter: string | null;
  threads: number;
  /** How files were checked: by digest, or by length where there is no `crypto.subtle`. */
  integrity: 'sha256' | 'length';
  tried: { backend: BackendName; code: ErrorCode; reason: string }[];
  loadMs: number;
}

/** A Tensor whose dtype is known. */
export interface TypedTensor<A extends TypedArray, D extends DType> extends Tensor {
  data: A;
  dtype: D;
}

/** An input of an entry, for the style of `set`, `run`, `toActual`. */
export interface InputSlot {
  readonly name: string;
  readonly dtype: DType;
  /** Sizes, names of symbols, or code over them. */
  readonly shape: (number | string)[];
  readonly vocabulary?: number;
  /** True for a list, whose sequences have that shape: `['length', 4]`. */
  readonly list?: boolean;
  /** Gives the data of the next `run()` without arguments; it is copied. */
  set(data: InputData | ListData, shape?: number[]): void;
}

export interface OutputSlot {
  readonly name: string;
  readonly dtype: DType;
  readonly shape: (number | string)[];
  /** True for a list, whose sequences have that shape. */
  readonly list?: boolean;
  /** A copy of what the last run fetched; of a list, an array of copies. */
  toActual<Data = TypedArray>(): Data;
}

export interface EntryRunner<Inputs, Outputs> {
  readonly inputs: InputSlot[];
  readonly outputs: OutputSlot[];
  /** Runs on `inputs`, which are copied, or on what was `set`. Calls queue. */
  run<Name extends keyof Outputs = keyof Outputs>(
    inputs?: Inputs,
    options?: RunOptions<Name>,
  ): Promise<Pick<Outputs, Name>>;
}

export interface StateRunner<States> {
  /** All states start again at their initial values. */
  reset(): Promise<unknown>;
  /** Copies of all states; null stands for the initial value. */
  save(): Promise<{ [Name in keyof States]: States[Name] | null }>;
  /** Sets the states that are named. */
  restore(saved: { [Name in keyof States]?: InputData | null }): Promise<unknown>;
  /** Reorders, repeats or drops the rows of a batch: row k becomes what row `rows[k]` is. */
  select(rows: ArrayLike<number>): Promise<unknown>;
}

export interface ModelRunner<
  Entries extends Record<keyof Entries, { inputs: unknown; outputs: unknown }>,
  Main extends keyof Entries,
  States,
> extends EntryRunner<Entries[Main]['inputs'], Entries[Main]['outputs']> {
  readonly report: Report;
  readonly states: StateRunner<States>;
  /** Counts of what the backend did since it started. */
  readonly stats: Record<string, number>;
  entry<Name extends keyof Entries>(
    name: Name,
  ): EntryRunner<Entries[Name]['inputs'], Entries[Name]['outputs']>;
  /** Gives back all memory, after the call that is under way. */
  dispose(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}
