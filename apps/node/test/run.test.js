'use strict';
const assert = require('node:assert');
const { spawn } = require('node:child_process');
const { once } = require('node:events');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const test = require('node:test');
const { pathToFileURL } = require('node:url');

const { run, terminate } = require('uvreap');
const { stateOf, childrenOf, until, inNode } = require('./support.js');

test('a program without a shell: how it ended, what it wrote, what it used', async () => {
  const { pid, usage, ...result } = await run([
    'sh',
    '-c',
    'echo "$1"; echo bad >&2; exit 3',
    'sh',
    '$HOME *',
  ]);
  assert.deepStrictEqual(result, {
    code: 3,
    signal: null,
    lost: false,
    timedOut: false,
    stdout: '$HOME *\n',
    stderr: 'bad\n',
    stdoutTruncated: false,
    stderrTruncated: false,
  });
  assert.ok(pid > 1 && usage.maxRssBytes > 0);
});

test('a line goes to the shell', async () => {
  assert.strictEqual((await run('echo $((6 * 7)) | tr 4 x')).stdout, 'x2\n');
});

test('every signal has the name that child_process gives it', async () => {
  const numbers = new Set(Object.values(os.constants.signals));
  for (const harmless of [
    'SIGCHLD',
    'SIGCONT',
    'SIGSTOP',
    'SIGTSTP',
    'SIGTTIN',
    'SIGTTOU',
    'SIGURG',
    'SIGWINCH',
  ]) {
    numbers.delete(os.constants.signals[harmless]);
  }
  for (const number of numbers) {
    const command = ['sh', '-c', `ulimit -c 0; kill -${number} $$`];
    const [ours, theirs] = await Promise.all([
      run(command),
      once(spawn(command[0], command.slice(1)), 'exit'),
    ]);
    assert.deepStrictEqual([ours.code, ours.signal], theirs);
  }
  assert.strictEqual((await run('kill -40 $$')).signal, 'SIG40');
});

test('input, directory and environment are those that are given', async (t) => {
  const folder = fs.realpathSync(fs.mkdtempSync(path.join(os.tmpdir(), 'uvreap-')));
  t.after(() => fs.rmSync(folder, { recursive: true }));
  assert.strictEqual((await run('pwd', { cwd: folder })).stdout, `${folder}\n`);
  assert.strictEqual((await run('pwd', { cwd: pathToFileURL(folder) })).stdout, `${folder}\n`);
  const env = { A: '1', ä: 'ö', NOT: undefined };
  assert.strictEqual((await run(['env'], { env })).stdout, 'A=1\nä=ö\n');
  process.env.UVREAP_TEST = 'set by process.env';
  assert.strictEqual((await run('echo "$UVREAP_TEST"')).stdout, 'set by process.env\n');
  assert.strictEqual((await run(['cat'], { input: 'grüße' })).stdout, 'grüße');
  assert.deepStrictEqual(
    (await run(['cat'], { input: new Uint16Array([1, 2]), encoding: 'buffer' })).stdout,
    Buffer.from([1, 0, 2, 0]),
  );
  const changed = Buffer.from('as it was at the call');
  const copied = run(['cat'], { input: changed });
  changed.fill('x');
  assert.strictEqual((await copied).stdout, 'as it was at the call');
  assert.strictEqual((await run(['cat'], { input: '' })).stdout, '');
  assert.strictEqual((await run(['cat'])).stdout, ''); // of /dev/null
});

test('a large input and a large output pass at once', async () => {
  const input = Buffer.alloc(8 * 1024 * 1024, 'x');
  const { stdout, stdoutTruncated } = await run(['cat'], { input, encoding: 'buffer', maxBuffer: Infinity });
  assert.ok(stdout.equals(input));
  assert.strictEqual(stdoutTruncated, false);
});

test('a child that does not read its input is no error', async () => {
  assert.strictEqual((await run('exec <&-; exit 2', { input: Buffer.alloc(1024 * 1024) })).code, 2);
});

test('output that no string can hold rejects, and harms nothing else', async () => {
  const all = { encoding: 'hex', maxBuffer: Infinity };
  await assert.rejects(run(['head', '-c', '270000000', '/dev/zero'], all), { code: 'ERR_STRING_TOO_LONG' });
  assert.strictEqual((await run(['true'])).code, 0);
});

test('what is beyond maxBuffer is dropped, said so, and does not hold the child', async () => {
  const result = await run('echo longer; yes | head -c 300000 >&2', { maxBuffer: 4 });
  assert.deepStrictEqual([result.code, result.stdout, result.stderr], [0, 'long', 'y\ny\n']);
  assert.deepStrictEqual([result.stdoutTruncated, result.stderrTruncated], ['maxBuffer', 'maxBuffer']);
  assert.strictEqual((await run('echo all', { maxBuffer: 4 })).stdoutTruncated, false);
});

test('a process that the child left behind does not hold the result longer than drain', async (t) => {
  const result = await run('sleep 1000 & echo $!; exit 4', { drain: 50 });
  t.after(() => process.kill(Number(result.stdout)));
  assert.deepStrictEqual([result.code, result.stdoutTruncated], [4, 'drain']);
});

test('streams go where they are sent', async () => {
  const shown = await inNode(`
    const inherited = { stdin: 'inherit', stdout: 'inherit', stderr: 'inherit' };
    require('uvreap').run('echo out; echo err >&2; cat', inherited)
      .then((result) => console.log(JSON.stringify([result.stdout, result.stderr])));`);
  assert.deepStrictEqual(shown, { code: 0, signal: null, stdout: 'out\n["",""]\n', stderr: 'err\n' });
  const ignored = await run('echo out; echo err >&2', { stdout: 'ignore', stderr: 'ignore' });
  assert.deepStrictEqual([ignored.code, ignored.stdout, ignored.stderr], [0, '', '']);
});

test('a timeout ends the whole group where the child leads one', async () => {
  const result = await run('sleep 1000 & echo $!; wait', { timeout: 300, group: true });
  assert.deepStrictEqual([result.signal, result.timedOut, result.stdoutTruncated], ['SIGTERM', true, false]);
  await until(() => [undefined, 'Z'].includes(stateOf(Number(result.stdout))));
});

test('an abort ends the child, and rejects when it has ended', async () => {
  const controller = new AbortController();
  const ended = run('exec sleep 1000', { signal: controller.signal });
  setTimeout(() => controller.abort('reason'), 50);
  await assert.rejects(ended, { name: 'AbortError', code: 'ABORT_ERR', cause: 'reason' });

  const early = new AbortController(); // before it has started
  const begun = run(['sleep', '1000'], { signal: early.signal });
  early.abort();
  await assert.rejects(begun, { name: 'AbortError' });
  await assert.rejects(run(['sleep', '1000'], { signal: AbortSignal.abort() }), { name: 'AbortError' });

  const late = new AbortController(); // after all is over
  assert.strictEqual((await run(['true'], { signal: late.signal })).code, 0);
  late.abort();
});

test('what cannot be run is an error with a code and the value', async () => {
  await assert.rejects(run(['nowhere-to-be-found']), {
    code: 'ENOENT',
    syscall: 'run',
    message: /nowhere-to-be-found/,
  });
  await assert.rejects(run(['/']), { code: 'EACCES' });
  await assert.rejects(run(['true'], { cwd: '/nowhere' }), { code: 'ENOENT' });
  await assert.rejects(run(['true', 'x'.repeat(3_000_000)]), { code: 'E2BIG' });
  await assert.rejects(run(['nowhere-to-be-found'], { input: 'x' }), { code: 'ENOENT' });
  for (const bad of [undefined, null, [], {}, 3, ['a', 3], ['a\0b'], 'a\0b']) {
    await assert.rejects(run(bad), { code: 'EINVAL', message: /^EINVAL: command/ });
  }
  const options = {
    cwd: [3, 'a\0b'],
    env: [null, 3, { 'A=B': 'x' }, { '': 'x' }, { A: 'x\0y' }],
    input: [3, {}, null],
    stdin: ['pipe', 'other'],
    stdout: ['other', 1],
    stderr: [null],
    encoding: ['utf9', null],
    maxBuffer: [-1, NaN, '4'],
    drain: [-1, 1.5],
    group: [1],
    timeout: [-1, Infinity],
    grace: [-1],
    signal: ['SIGTERM', {}],
  };
  for (const [name, values] of Object.entries(options)) {
    for (const value of values) {
      await assert.rejects(run(['true'], { [name]: value }), {
        code: 'EINVAL',
        message: new RegExp(`^EINVAL: ${name}`),
      });
    }
  }
  await assert.rejects(run(['true'], { input: 'x', stdin: 'inherit' }), { code: 'EINVAL' });
});

test('no descriptor and no process is left', async () => {
  await run(['true'], { input: 'x' });
  const open = () => fs.readdirSync('/proc/self/fd').length;
  const before = open();
  for (let round = 0; round < 20; round += 1) {
    await Promise.allSettled([
      run(['cat'], { input: 'x' }),
      run(['nowhere']),
      run('exit 1'),
      run(['sleep', '100'], { timeout: 1 }),
    ]);
  }
  await until(() => open() <= before);
  assert.deepStrictEqual(childrenOf(process.pid), []);
});

test('1 000 at once', async () => {
  const results = await Promise.all(
    Array.from({ length: 1000 }, (_, i) => run(['sh', '-c', `echo ${i}; exit ${i % 256}`])),
  );
  results.forEach(({ code, stdout }, i) => assert.deepStrictEqual([code, stdout], [i % 256, `${i}\n`]));
});

test('terminate() ends a child of run()', async () => {
  const file = path.join(fs.mkdtempSync(path.join(os.tmpdir(), 'uvreap-')), 'pid');
  const ended = run(`echo $$ >${file}.new; mv ${file}.new ${file}; exec sleep 1000`);
  await until(() => fs.existsSync(file));
  const pid = Number(fs.readFileSync(file, 'utf8'));
  // The child may say its pid before the loop has heard that it started, and until then it is not waited for.
  await until(() => {
    try {
      return terminate(pid, { grace: 1000 }) === undefined;
    } catch (error) {
      assert.strictEqual(error.code, 'ESRCH');
      return false;
    }
  });
  assert.strictEqual((await ended).signal, 'SIGTERM');
  fs.rmSync(path.dirname(file), { recursive: true });
});
