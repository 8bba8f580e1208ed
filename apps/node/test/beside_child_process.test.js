// child_process beside a reaper of all orphans, while orphans come all the time: it is never disturbed. Once
// with the usual grace, and once with none, where only libuv's own list of its children protects them.
'use strict';
const assert = require('node:assert');
const childProcess = require('node:child_process');
const { once } = require('node:events');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { text } = require('node:stream/consumers');
const test = require('node:test');
const { promisify } = require('node:util');
const { Worker } = require('node:worker_threads');

const { reapOrphans, run } = require('uvreap');
const { stateOf, until } = require('./support.js');

const { spawn, spawnSync, execFileSync, execSync, exec, execFile, fork } = childProcess;

// Begins reaping, amid a flow of orphans. What it gives back ends both; there was at least one orphan then,
// and all that were told were orphans.
function amidOrphans(grace) {
  const told = [];
  const orphans = reapOrphans({
    subreaper: true,
    signals: false,
    grace,
    onOrphan: (exit) => told.push(exit),
  });
  let goesOn = true;
  const flow = (async () => {
    // The shell reaps what ends before it does.
    while (goesOn || told.length === 0)
      await run('for i in 1 2 3; do (sleep 0.01; exit 77) >/dev/null 2>&1 & done');
  })();
  return async () => {
    goesOn = false;
    await flow;
    orphans.stop();
    for (const { code, signal } of told) assert.deepStrictEqual([code, signal], [77, null]);
  };
}

for (const grace of [100, 0]) {
  const beside = (name, check) =>
    test(`${name}, with a grace of ${grace} ms`, async (t) => {
      const end = amidOrphans(grace);
      await check(t);
      await end();
    });

  beside('spawn: exit, signal, and an error of the exec', async () => {
    for (let code = 0; code < 50; code += 1) {
      const child = spawn('sh', ['-c', `exit ${code}`]);
      assert.deepStrictEqual(await once(child, 'close'), [code, null]);
    }
    const killed = spawn('sleep', ['1000']);
    killed.kill('SIGKILL');
    assert.deepStrictEqual(await once(killed, 'exit'), [null, 'SIGKILL']);
    await assert.rejects(once(spawn('nowhere-to-be-found'), 'spawn'), { code: 'ENOENT' });
  });

  beside('spawn: 1 000 at once', async () => {
    const children = Array.from({ length: 1000 }, (_, i) =>
      spawn('sh', ['-c', `exit ${i % 256}`], { stdio: 'ignore' }),
    );
    const exits = await Promise.all(children.map((child) => once(child, 'exit')));
    exits.forEach((exit, i) => assert.deepStrictEqual(exit, [i % 256, null]));
  });

  // They end while the loop does not turn, and are zombies together with orphans when it does.
  beside('spawn: 50 that end before Node knows it', async () => {
    const children = Array.from({ length: 50 }, (_, i) =>
      spawn('sh', ['-c', `exit ${i}`], { stdio: 'ignore' }),
    );
    while (!children.every(({ pid }) => stateOf(pid) === 'Z')) execFileSync('true');
    const exits = await Promise.all(children.map((child) => once(child, 'exit')));
    exits.forEach((exit, i) => assert.deepStrictEqual(exit, [i, null]));
  });

  beside('spawn: children that are not referenced, and detached ones', async () => {
    const child = spawn('sh', ['-c', 'read line; exit 3'], {
      detached: true,
      stdio: ['pipe', 'ignore', 'ignore'],
    });
    child.unref();
    child.stdin.end('\n');
    await until(() => child.exitCode !== null);
    assert.strictEqual(child.exitCode, 3);
  });

  beside('spawnSync, execFileSync and execSync', async () => {
    for (let round = 0; round < 30; round += 1) {
      const { status, stdout } = spawnSync('sh', ['-c', 'echo out; exit 4'], { encoding: 'utf8' });
      assert.deepStrictEqual([status, stdout], [4, 'out\n']);
      assert.strictEqual(execFileSync('cat', { input: 'in', encoding: 'utf8' }), 'in');
      assert.throws(() => execSync('exit 5', { stdio: 'ignore' }), { status: 5 });
      await new Promise(setImmediate);
    }
    const { signal, error } = spawnSync('sleep', ['1000'], { timeout: 50 });
    assert.deepStrictEqual([signal, error.code], ['SIGTERM', 'ETIMEDOUT']);
    assert.strictEqual(spawnSync('yes', { maxBuffer: 100 }).error.code, 'ENOBUFS');
    assert.strictEqual(spawnSync('nowhere-to-be-found').error.code, 'ENOENT');
  });

  beside('exec and execFile', async () => {
    assert.strictEqual((await promisify(exec)('echo $((6 * 7))')).stdout, '42\n');
    assert.strictEqual((await promisify(execFile)('sh', ['-c', 'echo out'])).stdout, 'out\n');
    await assert.rejects(promisify(exec)('exit 6'), { code: 6 });
    await assert.rejects(promisify(exec)('sleep 1000', { timeout: 50 }), { killed: true, signal: 'SIGTERM' });
  });

  beside('fork, with messages and handles', async (t) => {
    const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'uvreap-'));
    t.after(() => fs.rmSync(folder, { recursive: true }));
    const file = path.join(folder, 'child.js');
    fs.writeFileSync(file, "process.on('message', (n) => (n < 0 ? process.exit(9) : process.send(n * 2)));");
    for (const serialization of ['json', 'advanced']) {
      const child = fork(file, { serialization });
      for (let n = 0; n < 20; n += 1) {
        child.send(n);
        assert.deepStrictEqual((await once(child, 'message'))[0], n * 2);
      }
      child.send(-1);
      assert.deepStrictEqual(await once(child, 'exit'), [9, null]);
    }
    const left = fork(file);
    left.disconnect(); // so it ends by itself
    assert.deepStrictEqual(await once(left, 'exit'), [0, null]);
  });

  beside('abort signals', async () => {
    const controller = new AbortController();
    const child = spawn('sleep', ['1000'], { signal: controller.signal });
    const failed = assert.rejects(once(child, 'close'), { name: 'AbortError' });
    controller.abort();
    await failed;
    await until(() => child.signalCode !== null);
    assert.strictEqual(child.signalCode, 'SIGTERM');
    await assert.rejects(promisify(execFile)('sleep', ['1000'], { signal: AbortSignal.timeout(20) }), {
      name: 'AbortError',
    });
  });

  beside('stdio of every kind', async (t) => {
    const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'uvreap-'));
    t.after(() => fs.rmSync(folder, { recursive: true }));
    const file = path.join(folder, 'out');
    const descriptor = fs.openSync(file, 'w');
    const stream = fs.createWriteStream(path.join(folder, 'stream'));
    await once(stream, 'open');
    const kinds = {
      pipe: 'pipe',
      overlapped: 'overlapped',
      ignore: 'ignore',
      null: null,
      descriptor,
      stream,
    };
    for (const kind of Object.values(kinds)) {
      const child = spawn('sh', ['-c', 'cat; echo done; exit 2'], {
        stdio: ['pipe', kind, 'inherit', 'pipe', 'ipc'],
      });
      const output = child.stdout === null ? undefined : text(child.stdout);
      child.stdin.end('in\n');
      assert.deepStrictEqual(await once(child, 'close'), [2, null]);
      if (output !== undefined) assert.strictEqual(await output, 'in\ndone\n');
    }
    fs.closeSync(descriptor);
    stream.end();
    assert.strictEqual(fs.readFileSync(file, 'utf8'), 'in\ndone\n');
  });

  beside("a worker's child_process", async () => {
    const worker = new Worker(
      `const { spawn, spawnSync } = require('child_process');
       const { parentPort } = require('worker_threads');
       const one = (code) =>
         new Promise((resolve) => spawn('sh', ['-c', 'exit ' + code]).on('exit', resolve));
       (async () => {
         const codes = await Promise.all(Array.from({ length: 100 }, (_, i) => one(i)));
         for (let i = 100; i < 130; i += 1) codes.push(spawnSync('sh', ['-c', 'exit ' + i]).status);
         parentPort.postMessage(codes.every((code, i) => code === i));
       })();`,
      { eval: true },
    );
    const [said] = await Promise.all([once(worker, 'message'), once(worker, 'exit')]);
    assert.deepStrictEqual(said, [true]);
  });
}
