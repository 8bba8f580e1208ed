'use strict';
const assert = require('node:assert');
const { spawn } = require('node:child_process');
const { once } = require('node:events');
const readline = require('node:readline');
const test = require('node:test');

const { childrenOf, inNode, isRunning, noNamespace } = require('./support.js');

const asInit = ['unshare', '-pf', '--mount-proc'];

// 500 orphans with the codes 0 to 249, twice each.
const makesOrphans = 'i=0; while [ $i -lt 500 ]; do (sh -c "exit $((i % 250))" &); i=$((i + 1)); done';
const zombies = `
  const zombies = () => require('fs').readdirSync('/proc').filter((name) => {
    try {
      return /^\\d+ \\(.*\\) Z/s.test(require('fs').readFileSync('/proc/' + name + '/stat', 'latin1'));
    } catch {
      return false;
    }
  }).length;
  const turn = () => new Promise((resolve) => setTimeout(resolve, 1));`;

test('500 orphans of a PID 1: each is told, and none is left a zombie', { skip: noNamespace }, async () => {
  const shown = await inNode(
    `${zombies}
    const { execFileSync, spawn } = require('child_process');
    const { run, reapOrphans } = require('uvreap');
    const told = [];
    reapOrphans({ onOrphan: (exit) => told.push(exit) });
    (async () => {
      const made = run(${JSON.stringify(makesOrphans)});
      const beside = [];
      while (told.length < 500) {
        beside.push(new Promise((resolve) => spawn('sh', ['-c', 'exit 9']).on('exit', resolve)));
        execFileSync('true');
        await turn();
      }
      const codes = await Promise.all(beside);
      const counts = Array(250).fill(0);
      for (const { code } of told) counts[code] += 1;
      while (zombies() > 0) await turn();
      console.log(process.pid, (await made).code, told.length);
      console.log(counts.every((count) => count === 2), codes.every((code) => code === 9));
    })();`,
    ...asInit,
  );
  assert.deepStrictEqual(shown, { code: 0, signal: null, stdout: '1 0 500\ntrue true\n', stderr: '' });
});

test('without it 500 orphans are 500 zombies', { skip: noNamespace }, async () => {
  const shown = await inNode(
    `${zombies}
    (async () => {
      require('child_process').execFileSync('sh', ['-c', ${JSON.stringify(makesOrphans)}]);
      while (zombies() < 500) await turn();
      console.log('500 zombies');
    })();`,
    ...asInit,
  );
  assert.deepStrictEqual(shown, { code: 0, signal: null, stdout: '500 zombies\n', stderr: '' });
});

// Starts SCRIPT as PID 1; it answers each line of its input with a line, the first of its own accord.
async function initRunning(t, script) {
  const child = spawn(
    asInit[0],
    [
      ...asInit.slice(1),
      process.execPath,
      '-e',
      `${script}
    console.log('ready');
    process.stdin.on('data', () => console.log('alive'));`,
    ],
    { cwd: __dirname, stdio: ['pipe', 'pipe', 'inherit'] },
  );
  const lines = readline.createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  await lines.next();
  const [pid] = childrenOf(child.pid);
  t.after(() => isRunning(child) && process.kill(pid, 'SIGKILL'));
  return { child, pid, answers: async () => (child.stdin.write('\n'), (await lines.next()).value) };
}

for (const [signal, code] of [
  ['SIGTERM', 143],
  ['SIGINT', 130],
  ['SIGHUP', 129],
  ['SIGQUIT', 131],
]) {
  test(`${signal} ends a PID 1 that does not listen to it`, { skip: noNamespace }, async (t) => {
    const { child, pid } = await initRunning(t, "require('uvreap').reapOrphans();");
    process.kill(pid, signal);
    assert.deepStrictEqual(await once(child, 'exit'), [code, null]);
  });
}

test('SIGTERM does not end a PID 1 without it', { skip: noNamespace }, async (t) => {
  const { child, pid, answers } = await initRunning(t, '');
  process.kill(pid, 'SIGTERM');
  process.kill(pid, 'SIGTERM');
  assert.strictEqual(await answers(), 'alive');
  process.kill(pid, 'SIGKILL');
  await once(child, 'exit');
});

test('a listener of the program decides what SIGTERM does', { skip: noNamespace }, async (t) => {
  const { child, pid } = await initRunning(
    t,
    "require('uvreap').reapOrphans(); process.on('SIGTERM', () => setTimeout(() => process.exit(5), 10));",
  );
  process.kill(pid, 'SIGTERM');
  assert.deepStrictEqual(await once(child, 'exit'), [5, null]);
});

test('signals: false leaves them alone', { skip: noNamespace }, async (t) => {
  const { child, pid, answers } = await initRunning(t, "require('uvreap').reapOrphans({ signals: false });");
  process.kill(pid, 'SIGTERM');
  assert.strictEqual(await answers(), 'alive');
  process.kill(pid, 'SIGKILL');
  await once(child, 'exit');
});
