// Not run: types.test.js has the TypeScript compiler read it.
import { watch, run, terminate, reapOrphans, Exit, Result } from 'uvreap';

export async function all(): Promise<void> {
  const exit: Exit = await watch(3, { timeout: 5, ref: false, signal: new AbortController().signal });
  const result: Result = await run(['x'] as const, {
    env: { A: '1' },
    input: new Uint8Array(3),
    cwd: new URL('file:///'),
  });
  const bytes: Buffer = (await run('x', { encoding: 'buffer' })).stdout;
  const text: string = (await run('x', { encoding: 'latin1' })).stdout;
  const user: number | undefined = result.usage?.userMicroseconds;
  terminate(exit.pid, { grace: 0 });
  const orphans = reapOrphans({
    onOrphan: ({ code, signal }) => console.log(code, signal, bytes, text, user),
  });
  orphans.exclude(3);
  orphans.stop();
  // @ts-expect-error
  void run(3);
  // @ts-expect-error
  void run('x', { stdout: 'other' });
  // @ts-expect-error
  void watch('3');
  // @ts-expect-error
  const none: string = (await watch(3)).code;
  void none;
}
