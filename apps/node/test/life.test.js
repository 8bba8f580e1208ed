// Ends of every kind: of the process, of a worker, of a module that was loaded anew. Each Node here ends by
// itself, with the status and the output that are named, and nothing on its standard error.
'use strict';
const assert = require('node:assert');
const test = require('node:test');

const { inNode } = require('./support.js');

function ends(name, script, expected) {
  test(name, async () => {
    const shown = await inNode(`
      const { watch, run, terminate, reapOrphans } = require('uvreap');
      const { execFileSync } = require('child_process');
      const { Worker } = require('worker_threads');
      const { orphan, until } = require('./support.js');
      const anOrphan = (code) => {
        const made = orphan({ after: (call) => process.on('exit', call) }, 'exit ' + code);
        made.open();
        return made.pid;
      };
      ${script}`);
    assert.deepStrictEqual(shown, { code: 0, signal: null, stdout: '', stderr: '', ...expected });
  });
}

ends('a module that is only loaded holds nothing', '', {});

ends('after the last result the process ends', "run('exit 3').then(({ code }) => console.log(code));", {
  stdout: '3\n',
});

ends('reaping orphans does not hold the process', 'reapOrphans();', {});

ends(
  'process.exit with children that run, start, and are being aborted',
  `reapOrphans({ subreaper: true, onOrphan() {} });
   const controller = new AbortController();
   run('read line', { timeout: 60000 });
   run('read line', { signal: controller.signal }).catch(() => {});
   run(['cat'], { input: Buffer.alloc(1 << 20) }).then(() => {
     anOrphan(3);
     controller.abort();
     for (let i = 0; i < 50; i += 1) run(['true'], { input: 'x' });
     process.exit(7);
   });`,
  { code: 7 },
);

ends(
  'process.exit where nothing has started yet',
  "for (let i = 0; i < 50; i += 1) run(['true']); process.exit(7);",
  { code: 7 },
);

ends(
  'an error in onOrphan is an uncaught error, and the next orphan is told',
  `process.on('uncaughtException', ({ message }) => console.log('uncaught', message));
   const told = [];
   reapOrphans({ subreaper: true, onOrphan({ code }) { told.push(code); throw new Error('of ' + code); } });
   anOrphan(3);
   until(() => told.length === 1).then(() => { anOrphan(4); return until(() => told.length === 2); });`,
  { stdout: 'uncaught of 3\nuncaught of 4\n' },
);

test('an error in onOrphan that is not caught ends the process', async () => {
  const { code, stderr } = await inNode(`
    require('uvreap').reapOrphans({ subreaper: true, onOrphan() { throw new Error('not caught'); } });
    require('child_process').execFileSync('sh', ['-c', '(sleep 0.01; exit 3) &'], { stdio: 'ignore' });
    setInterval(() => {}, 1000);`);
  assert.strictEqual(code, 1);
  assert.match(stderr, /Error: not caught/);
});

ends(
  'process.exit in onOrphan',
  `reapOrphans({ subreaper: true, onOrphan: ({ code }) => process.exit(code) });
   anOrphan(6);
   setInterval(() => {}, 1000);`,
  { code: 6 },
);

ends(
  'stop(), and what is awaited, in onOrphan',
  `const orphans = reapOrphans({ subreaper: true, async onOrphan({ code }) {
     orphans.stop();
     execFileSync('true');
     const { code: other } = await run('exit 5');
     console.log(code, other);
   } });
   anOrphan(6);
   const hold = setInterval(() => orphans, 1000);
   process.on('exit', () => console.log('end'));
   run('sleep 0.3').then(() => clearInterval(hold));`,
  { stdout: '6 5\nend\n' },
);

ends(
  'a result runs what waits for it before the next one',
  `process.nextTick(() => {});
   run(['true']).then(() => {
     process.nextTick(() => console.log('tick'));
     Promise.resolve().then(() => console.log('micro'));
   });`,
  { stdout: 'micro\ntick\n' },
);

ends(
  'AsyncLocalStorage goes with the promise',
  `const { AsyncLocalStorage } = require('async_hooks');
   const store = new AsyncLocalStorage();
   const one = async (name) => { await run('exit 0'); console.log(name, store.getStore()); };
   store.run('a', one, 'a').then(() => store.run('b', one, 'b'));`,
  { stdout: 'a a\nb b\n' },
);

ends(
  'a module that is loaded anew has reapers of its own',
  `const first = reapOrphans({ subreaper: true });
   for (const file of Object.keys(require.cache)) delete require.cache[file];
   const again = require('uvreap');
   console.log(again.run !== run);
   try { again.reapOrphans(); } catch ({ code }) { console.log(code); }
   const pid = anOrphan(3);
   const ended = watch(pid);
   again.watch(pid).catch(({ code }) => console.log(code));
   Promise.all([run('exit 4'), again.run('exit 5'), ended]).then((all) => {
     console.log(...all.map(({ code }) => code));
     first.stop();
     again.reapOrphans().stop();
   });`,
  { stdout: 'true\nEBUSY\nEEXIST\n4 5 3\n' },
);

// The source of a worker, as a string literal.
const inWorker = (body) =>
  JSON.stringify(`
    const { parentPort, workerData } = require('worker_threads');
    const { run, watch } = require('uvreap');
    ${body}`);

ends(
  'each worker has reapers of its own',
  `const body = ${inWorker(`
     const all = Promise.all(Array.from({ length: 20 }, () => run('exit ' + workerData)));
     all.then((exits) => parentPort.postMessage(exits.every(({ code }) => code === workerData)));`)};
   let good = 0;
   for (let workerData = 0; workerData < 8; workerData += 1) {
     new Worker(body, { eval: true, workerData }).on('message', (is) => (good += is));
   }
   process.on('exit', () => console.log(good));`,
  { stdout: '8\n' },
);

ends(
  'a worker that is ended with all under way, again and again',
  `reapOrphans({ subreaper: true });
   const body = ${inWorker(`
     for (let i = 0; i < 5; i += 1) run('sleep 0.05', { input: 'x', timeout: i });
     run('exit 3').then(() => parentPort.postMessage('on'));`)};
   (async () => {
     for (let round = 0; round < 30; round += 1) {
       const worker = new Worker(body, { eval: true });
       if (round % 2) await new Promise((resolve) => worker.once('message', resolve));
       else await new Promise((resolve) => worker.once('online', resolve));
       await worker.terminate();
     }
     console.log((await run('exit 4')).code);
   })();`,
  { stdout: '4\n' },
);

ends(
  'process.exit in a worker, in a callback of its own',
  `const body = ${inWorker("run('exit 3').then(({ code }) => process.exit(code)); run('sleep 0.2');")};
   new Worker(body, { eval: true }).on('exit', (code) => console.log(code));`,
  { stdout: '3\n' },
);

ends(
  'process.exit while workers run children',
  `const body = ${inWorker(`
     setInterval(() => run(['true']), 1);
     run(['true']).then(() => parentPort.postMessage(1));`)};
   let running = 0;
   const ends = () => ++running === 3 && process.exit(8);
   for (let i = 0; i < 3; i += 1) new Worker(body, { eval: true }).on('message', ends);`,
  { code: 8 },
);

ends(
  'the children of a worker that has ended are reaped as orphans',
  `const told = [];
   reapOrphans({ onOrphan: ({ code }) => told.push(code) });
   const body = ${inWorker(`
     require('child_process').spawn('sh', ['-c', 'read line; exit 5'], { stdio: ['pipe', 'ignore', 2] });
     parentPort.postMessage(1);`)};
   const worker = new Worker(body, { eval: true });
   worker.on('message', () => worker.terminate());
   until(() => told.length === 1).then(() => console.log(...told));`,
  { stdout: '5\n' },
);
