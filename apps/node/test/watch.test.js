'use strict';
const assert = require('node:assert');
const { spawn } = require('node:child_process');
const { once } = require('node:events');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const test = require('node:test');

const { watch, terminate } = require('uvreap');
const { becomeSubreaper, orphan, stateOf, until, inNode } = require('./support.js');

becomeSubreaper();

async function letBe(child) {
  const controller = new AbortController();
  const ended = watch(child.pid, { signal: controller.signal });
  controller.abort();
  await assert.rejects(ended, { name: 'AbortError' });
}

test('a child is told with how it ended and what it used', async (t) => {
  const child = orphan(t, 'exit 3');
  const ended = watch(child.pid);
  await child.open();
  const { usage, ...exit } = await ended;
  assert.deepStrictEqual(exit, { pid: child.pid, code: 3, signal: null, lost: false, timedOut: false });
  assert.deepStrictEqual(Object.keys(usage), [
    'userMicroseconds',
    'systemMicroseconds',
    'maxRssBytes',
    'minorFaults',
    'majorFaults',
    'voluntarySwitches',
    'involuntarySwitches',
    'blocksIn',
    'blocksOut',
  ]);
  assert.ok(usage.maxRssBytes > 0 && usage.minorFaults > 0);
});

test('a child that ended long ago is told', async (t) => {
  const child = orphan(t, 'exit 4');
  await child.open();
  await until(() => stateOf(child.pid) === 'Z');
  assert.strictEqual((await watch(child.pid)).code, 4);
  assert.strictEqual(stateOf(child.pid), undefined);
});

test('what cannot be watched is an error with a code and the value', async (t) => {
  await assert.rejects(watch(process.pid), {
    code: 'ESRCH',
    errno: -3,
    syscall: 'watch',
    message: new RegExp(process.pid),
  });
  await assert.rejects(watch(1), { code: 'ESRCH' });
  for (const bad of [0, -1, 1.5, 2 ** 31, NaN, '12', null, undefined, 12n, {}]) {
    await assert.rejects(watch(bad), {
      code: 'EINVAL',
      message: /^EINVAL: pid must be a whole number from 1 to 2147483647, and is /,
    });
  }
  const child = orphan(t, 'exit 0');
  const ended = watch(child.pid);
  await assert.rejects(watch(child.pid), { code: 'EEXIST' });
  for (const bad of [{ timeout: -1 }, { timeout: 'x' }, { grace: 0.5 }, { ref: 1 }, { signal: {} }]) {
    const [name] = Object.keys(bad);
    await assert.rejects(watch(child.pid, bad), { code: 'EINVAL', message: new RegExp(`^EINVAL: ${name} `) });
  }
  for (const bad of [null, 3, 'x'])
    await assert.rejects(watch(child.pid, bad), { code: 'EINVAL', message: /options/ });
  await child.open();
  await ended;
});

test('a child of child_process is not taken from it', async () => {
  const child = spawn('sh', ['-c', 'read line; exit 5'], { stdio: ['pipe', 'ignore', 'ignore'] });
  await assert.rejects(watch(child.pid), { code: 'EBUSY', message: /child_process/ });
  child.stdin.end('\n');
  assert.deepStrictEqual(await once(child, 'exit'), [5, null]);
});

test('an abort lets the child be, and it is reaped all the same', async (t) => {
  const child = orphan(t, 'exit 6');
  const controller = new AbortController();
  const ended = watch(child.pid, { signal: controller.signal });
  controller.abort(new Error('no more'));
  await assert.rejects(ended, { name: 'AbortError', code: 'ABORT_ERR', cause: new Error('no more') });
  assert.notStrictEqual(stateOf(child.pid), undefined);
  await child.open();
  await until(() => stateOf(child.pid) === undefined);

  await assert.rejects(watch(child.pid, { signal: AbortSignal.abort() }), { name: 'AbortError' });
});

test('a child that was let be can be watched again', async (t) => {
  const child = orphan(t, 'exit 7');
  await letBe(child);
  const again = watch(child.pid);
  await child.open();
  assert.strictEqual((await again).code, 7);
});

test('a child that was let be can be ended', async (t) => {
  const child = orphan(t, 'exit 7');
  await letBe(child);
  terminate(child.pid);
  await until(() => stateOf(child.pid) === undefined);
  assert.throws(() => terminate(child.pid), { code: 'ESRCH' });
});

test('a timeout ends it, by SIGKILL where SIGTERM does not', async (t) => {
  const gentle = await watch(orphan(t, 'exit 0').pid, { timeout: 20 });
  assert.deepStrictEqual([gentle.signal, gentle.timedOut], ['SIGTERM', true]);

  const deaf = orphan(t, 'trap "" TERM; rm "$gate"; while :; do sleep 0.01; done');
  await deaf.open();
  await until(() => !fs.existsSync(deaf.gate));
  const { signal, timedOut } = await watch(deaf.pid, { timeout: 20, grace: 20 });
  assert.deepStrictEqual([signal, timedOut], ['SIGKILL', true]);
});

test('terminate() ends what is watched, and nothing else', async (t) => {
  const child = orphan(t, 'exit 0');
  assert.throws(() => terminate(child.pid), { code: 'ESRCH', syscall: 'terminate' });
  assert.throws(() => terminate(0), { code: 'EINVAL' });
  assert.throws(() => terminate(child.pid, { grace: -5 }), { code: 'EINVAL', message: /-5/ });
  const ended = watch(child.pid);
  terminate(child.pid);
  assert.throws(() => terminate(child.pid), { code: 'EALREADY' });
  assert.deepStrictEqual((await ended).signal, 'SIGTERM');
});

// Another copy of the package knows nothing of this one's children.
test('what other code took is lost, and no status is invented', async (t) => {
  const package_ = path.dirname(require.resolve('uvreap'));
  const copy = fs.mkdtempSync(path.join(os.tmpdir(), 'uvreap-copy-'));
  t.after(() => fs.rmSync(copy, { recursive: true, force: true }));
  for (const part of ['index.js', 'lib', 'build/Release/uvreap.node']) {
    fs.cpSync(path.join(package_, part), path.join(copy, part), { recursive: true });
  }
  const child = orphan(t, 'exit 8');
  await child.open();
  await until(() => stateOf(child.pid) === 'Z');
  const thief = require(copy).reapOrphans({ grace: 0 });
  const controller = new AbortController();
  await until(() => stateOf(child.pid) === undefined);
  thief.stop();
  await assert.rejects(watch(child.pid, { signal: controller.signal }), { code: 'ESRCH' });

  const next = orphan(t, 'exit 9');
  const ended = watch(next.pid);
  const second = require(copy).watch(next.pid); // two wait for it: one has it, one has lost it
  await next.open();
  const exits = await Promise.all([ended, second]);
  const [winner, loser] = exits[0].usage !== null ? exits : exits.reverse();
  assert.deepStrictEqual([winner.code, winner.lost], [9, false]);
  assert.strictEqual(loser.usage, null);
  // Since Linux 6.15 the kernel may still have the status.
  assert.ok(loser.lost ? loser.code === null && loser.signal === null : loser.code === 9);
});

test('a pending watch holds the process, and one without ref does not', async () => {
  const script = (ref) => `
    const { becomeSubreaper, orphan } = require('./support.js');
    const { watch } = require('uvreap');
    becomeSubreaper();
    const after = [];
    const child = orphan({ after: (call) => after.push(call) }, 'exit 3');
    watch(child.pid, { ref: ${ref} }).then(() => console.log('told'));
    process.on('exit', () => { process.kill(child.pid, 'SIGKILL'); after.forEach((call) => call()); });
    ${ref ? 'child.open();' : ''}`;
  const held = await inNode(script(true).replace("process.kill(child.pid, 'SIGKILL');", ''));
  assert.deepStrictEqual(held, { code: 0, signal: null, stdout: 'told\n', stderr: '' });
  const free = await inNode(script(false));
  assert.deepStrictEqual(free, { code: 0, signal: null, stdout: '', stderr: '' });
});
