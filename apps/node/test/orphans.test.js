'use strict';
const assert = require('node:assert');
const test = require('node:test');
const { Worker } = require('node:worker_threads');
const { once } = require('node:events');

const { reapOrphans, watch, run } = require('uvreap');
const { becomeSubreaper, orphan, stateOf, until } = require('./support.js');

becomeSubreaper();

function reaping(t, options) {
  const orphans = reapOrphans(options);
  t.after(() => orphans.stop());
  return orphans;
}

test('without it an orphan stays a zombie', async (t) => {
  const child = orphan(t, 'exit 3');
  await child.open();
  await until(() => stateOf(child.pid) === 'Z');
  await run(['true']); // a reaper of watched children alone takes none
  assert.strictEqual(stateOf(child.pid), 'Z');
  assert.strictEqual((await watch(child.pid)).code, 3);
});

test('each orphan is told once, with how it ended and what it used', async (t) => {
  const told = [];
  reaping(t, { onOrphan: (exit) => told.push(exit) });
  const children = [orphan(t, 'exit 3'), orphan(t, 'exec sh -c "kill -9 \\$\\$"')];
  for (const child of children) await child.open();
  await until(() => told.length === 2);
  told.sort(
    (one, other) =>
      children.findIndex(({ pid }) => pid === one.pid) - children.findIndex(({ pid }) => pid === other.pid),
  );
  assert.deepStrictEqual(
    told.map(({ usage, ...exit }) => exit),
    [
      { pid: children[0].pid, code: 3, signal: null, lost: false, timedOut: false },
      { pid: children[1].pid, code: null, signal: 'SIGKILL', lost: false, timedOut: false },
    ],
  );
  assert.ok(told[0].usage.maxRssBytes > 0);
});

test('zombies that were there before are reaped too, also without onOrphan', async (t) => {
  const child = orphan(t, 'exit 3');
  await child.open();
  await until(() => stateOf(child.pid) === 'Z');
  reaping(t);
  await until(() => stateOf(child.pid) === undefined);
});

test('an orphan that is watched is told to its watch alone', async (t) => {
  const told = [];
  reaping(t, { onOrphan: ({ pid }) => told.push(pid), grace: 0 });
  const [watched, other] = [orphan(t, 'exit 3'), orphan(t, 'exit 4')];
  const ended = watch(watched.pid);
  await watched.open();
  assert.strictEqual((await ended).code, 3);
  await other.open();
  await until(() => told.length === 1);
  assert.deepStrictEqual(told, [other.pid]);
});

test('what is excluded is left to other code', async (t) => {
  const told = [];
  const orphans = reaping(t, { onOrphan: ({ pid }) => told.push(pid), grace: 0 });
  const [excluded, other] = [orphan(t, 'exit 3'), orphan(t, 'exit 4')];
  orphans.exclude(excluded.pid);
  assert.throws(() => orphans.exclude(process.pid), { code: 'ESRCH' });
  assert.throws(() => orphans.exclude(0), { code: 'EINVAL' });
  await excluded.open();
  await until(() => stateOf(excluded.pid) === 'Z');
  await other.open();
  await until(() => told.includes(other.pid));
  assert.deepStrictEqual([told, stateOf(excluded.pid)], [[other.pid], 'Z']);
  assert.strictEqual((await watch(excluded.pid)).code, 3);
});

test('after stop() an orphan stays a zombie, and it can begin anew', async (t) => {
  const first = reapOrphans();
  assert.throws(() => reapOrphans(), { code: 'EBUSY' });
  const { stop, exclude } = first;
  stop();
  first.stop();
  const child = orphan(t, 'exit 3');
  await child.open();
  await until(() => stateOf(child.pid) === 'Z');
  assert.throws(() => exclude(child.pid), { code: 'EINVAL' });
  reaping(t);
  await until(() => stateOf(child.pid) === undefined);
});

test('bad options are errors that name the value', () => {
  const bad = { onOrphan: [3, {}], grace: [-1, '5', 0.5], signals: [1, 'SIGTERM'], subreaper: ['yes'] };
  for (const [name, values] of Object.entries(bad)) {
    for (const value of values) {
      assert.throws(() => reapOrphans({ [name]: value }), {
        code: 'EINVAL',
        message: new RegExp(`^EINVAL: ${name} `),
      });
    }
  }
  reapOrphans().stop(); // nothing was begun
});

test('a worker thread is refused', async () => {
  const worker = new Worker(
    `const { parentPort } = require('worker_threads');
     try {
       require('uvreap').reapOrphans();
     } catch ({ code, message }) {
       parentPort.postMessage(code + ' ' + message);
     }`,
    { eval: true },
  );
  const [said] = await once(worker, 'message');
  assert.match(said, /^ENOTSUP ENOTSUP: orphans come to the main thread/);
});

test('its signals are those that have no other listener, and go with stop()', () => {
  const before = process.listenerCount('SIGTERM');
  reapOrphans().stop();
  assert.strictEqual(process.listenerCount('SIGTERM'), before); // this is no PID 1
  const orphans = reapOrphans({ signals: true });
  for (const name of ['SIGHUP', 'SIGINT', 'SIGQUIT', 'SIGTERM'])
    assert.strictEqual(process.listenerCount(name), before + 1);
  orphans.stop();
  assert.strictEqual(process.listenerCount('SIGTERM'), before);
});
