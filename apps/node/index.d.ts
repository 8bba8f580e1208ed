// uvreap for Node: waits for any child of this process on Node's own loop, and reaps every orphan.
//
// Every error is an Error with a `code`: 'ESRCH', 'EINVAL', ... for what the system or a check refused, with
// a message that names the value, or 'ABORT_ERR'. How a child ended is no error.
/// <reference types="node" />

/** What a child used, and what it had itself waited for, as wait4(2) tells it when the child is reaped. */
export interface Usage {
  userMicroseconds: number;
  systemMicroseconds: number;
  /** On Linux at least what its parent had resident when the child was made. */
  maxRssBytes: number;
  minorFaults: number;
  majorFaults: number;
  voluntarySwitches: number;
  involuntarySwitches: number;
  /** Of 512 bytes each. */
  blocksIn: number;
  blocksOut: number;
}

export interface Exit {
  pid: number;
  /** Null where a signal killed it, and where it is lost. */
  code: number | null;
  signal: NodeJS.Signals | string | null;
  /** Other code of this process took the status: there is no code and no signal. */
  lost: boolean;
  /** The timeout came first. */
  timedOut: boolean;
  /** Null where other code took the status. */
  usage: Usage | null;
}

export interface WatchOptions {
  /**
   * Milliseconds; then the child is ended as by terminate(), and marked timedOut. 0, the default: no limit.
   */
  timeout?: number;
  /** Milliseconds from SIGTERM to SIGKILL after the timeout. Default: 5000. 0: SIGKILL at once. */
  grace?: number;
  /** False: this watch does not keep the process alive. Default: true. */
  ref?: boolean;
  /** Rejects with an AbortError. The child lives on, and is reaped when it ends. */
  signal?: AbortSignal;
}

/**
 * The end of a child of this process that child_process did not make: one of an addon's, or an orphan that
 * came to this process. It may have ended already.
 *
 * Errors: EINVAL: not a pid. ESRCH: this process has no such child. EEXIST: it is watched. EBUSY: it is
 * child_process's.
 */
export function watch(pid: number, options?: WatchOptions): Promise<Exit>;

/**
 * Sends SIGTERM and SIGCONT now, and SIGKILL when `grace` milliseconds (default: 5000) are over and it has
 * not ended; to its whole process group if it leads one. Of children of watch() and run() alone, so no
 * recycled pid is hit; a watch() that was aborted counts. The promise of watch() or run() tells the end.
 *
 * Throws ESRCH: neither had it here, or it has been reaped. EALREADY: it is being terminated. EINVAL.
 */
export function terminate(pid: number, options?: { grace?: number }): void;

export interface RunOptions {
  cwd?: string | URL;
  /** The whole environment. Default: process.env. */
  env?: NodeJS.ProcessEnv;
  /** Written to its standard input. */
  input?: string | NodeJS.ArrayBufferView;
  /** Without input. Default: 'ignore', which is /dev/null. */
  stdin?: 'ignore' | 'inherit';
  /** 'pipe', the default: captured. */
  stdout?: 'pipe' | 'ignore' | 'inherit';
  stderr?: 'pipe' | 'ignore' | 'inherit';
  /** Of what is captured. Default: 'utf8'. 'buffer': Buffers. */
  encoding?: BufferEncoding | 'buffer';
  /**
   * Bytes of each stream that are kept; the rest is read and dropped. Default: 1 MiB. Infinity is allowed;
   * output that is longer than a string can be (ERR_STRING_TOO_LONG) rejects, where a Buffer could hold it.
   */
  maxBuffer?: number;
  /**
   * Milliseconds that captured streams may stay open after the child's end, since a process that it left
   * behind may hold them. Default: 1000.
   */
  drain?: number;
  /** The child leads a process group, which timeout, abort and terminate() end as a whole. Default: false. */
  group?: boolean;
  /**
   * Milliseconds; then the child is ended as by terminate(), and marked timedOut. 0, the default: no limit.
   */
  timeout?: number;
  /** Milliseconds from SIGTERM to SIGKILL after timeout or abort. Default: 5000. 0: SIGKILL at once. */
  grace?: number;
  /** Ends the child as terminate() does, and rejects with an AbortError when it has ended. */
  signal?: AbortSignal;
}

export interface Result<Output = string> extends Exit {
  stdout: Output;
  stderr: Output;
  /**
   * Why something is missing at the end: there was more than maxBuffer, or a process held it longer than
   * drain.
   */
  stdoutTruncated: false | 'maxBuffer' | 'drain';
  stderrTruncated: false | 'maxBuffer' | 'drain';
}

/**
 * Runs a command and waits for its end: a line for /bin/sh, or the program and its arguments without a shell,
 * looked for in the PATH of this process. Resolves however the command ended; a code that is not 0 is no
 * error. The child is made on another thread, so the loop is not held.
 *
 * Rejects, and there is no child: ENOENT, EACCES: the program, or cwd. E2BIG, EAGAIN, ENOMEM, EMFILE: no room
 * for one more. EINVAL.
 */
export function run(
  command: string | readonly string[],
  options: RunOptions & { encoding: 'buffer' },
): Promise<Result<Buffer>>;
export function run(
  command: string | readonly string[],
  options?: RunOptions & { encoding?: BufferEncoding },
): Promise<Result>;
export function run(
  command: string | readonly string[],
  options?: RunOptions,
): Promise<Result<string | Buffer>>;

export interface OrphanOptions {
  /** Called for each orphan that was reaped, once. What it throws is an uncaught error. */
  onOrphan?: (exit: Exit) => void;
  /**
   * Milliseconds that a zombie which no code of this process is known to wait for is left to its owner, as to
   * another addon. Default: 100. child_process's children are never taken, whatever it is.
   */
  grace?: number;
  /**
   * SIGHUP, SIGINT, SIGQUIT and SIGTERM end the process with 128 + their number where the program does not
   * listen to them; the kernel drops them otherwise where this is PID 1. Default: true as PID 1, else false.
   */
  signals?: boolean;
  /**
   * Makes this process a subreaper, so that orphans of its descendants come to it; as PID 1 they do anyway.
   * It remains one after stop(). Default: false.
   */
  subreaper?: boolean;
}

export interface Orphans {
  /**
   * This child is other code's to wait for. Throws ESRCH: no such child; EEXIST: watched; EINVAL: stopped.
   */
  exclude(pid: number): void;
  stop(): void;
}

/**
 * From now on every orphan that comes to this process is reaped. It does not keep the process alive.
 *
 * Throws EBUSY: it is being done already. ENOTSUP: in a worker thread. EINVAL.
 */
export function reapOrphans(options?: OrphanOptions): Orphans;
