// Every block of code in the README is run, and prints what is shown below it.
'use strict';
const assert = require('node:assert');
const { spawn } = require('node:child_process');
const { once } = require('node:events');
const fs = require('node:fs');
const http = require('node:http');
const os = require('node:os');
const path = require('node:path');
const test = require('node:test');

const { childrenOf, inNode, isRunning, noNamespace, stateOf, until } = require('./support.js');

const root = path.dirname(require.resolve('uvreap'));
const readme = fs.readFileSync(path.join(root, 'README.md'), 'utf8');
const blocks = [...readme.matchAll(/^```(\w+)\n(.*?)^```$/gms)].map(([, language, text]) => ({
  language,
  text,
}));

// A Dockerfile's lines of that instruction.
const dockerfile = blocks.find(({ language }) => language === 'dockerfile').text;
const lines = (instruction) =>
  [...dockerfile.matchAll(new RegExp(`^${instruction} (.*)$`, 'gm'))].map(([, rest]) => rest);

const server = blocks.find(({ text }) => text.startsWith('// server.js')).text;

const withoutNumbers = (text) => text.replace(/: \d+/g, ': N');

test('it has the blocks that are run here, and no others', () => {
  assert.deepStrictEqual(
    blocks.map(({ language }) => language),
    ['js', 'text', 'js', 'dockerfile', 'js', 'text'],
  );
});

blocks.forEach(({ language, text }, i) => {
  if (language !== 'js' || text === server) return;
  test(`block ${i + 1} prints what is shown`, async () => {
    const shown = await inNode(text);
    assert.deepStrictEqual([shown.code, shown.stderr], [0, '']);
    assert.strictEqual(withoutNumbers(shown.stdout), withoutNumbers(blocks[i + 1].text));
  });
});

test('the Dockerfile installs this package', () => {
  const { name, version } = JSON.parse(fs.readFileSync(path.join(root, 'package.json')));
  assert.deepStrictEqual(lines('COPY'), [`${name}-${version}.tgz server.js ./`]);
  assert.strictEqual(lines('RUN')[1], `npm install ./${name}-${version}.tgz`);
});

test(
  'the server as PID 1: 500 orphans, none left a zombie, and SIGTERM ends it',
  { skip: noNamespace },
  async (t) => {
    const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'uvreap-'));
    t.after(() => fs.rmSync(folder, { recursive: true }));
    fs.writeFileSync(path.join(folder, 'server.js'), server);
    fs.mkdirSync(path.join(folder, 'node_modules'));
    fs.symlinkSync(root, path.join(folder, 'node_modules', 'uvreap'));
    const socketPath = path.join(folder, 'socket');
    const command = JSON.parse(lines('CMD')[0]);
    const child = spawn('unshare', ['-pf', '--mount-proc', ...command], {
      cwd: folder,
      env: { ...process.env, PORT: socketPath },
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    let output = '';
    child.stdout.on('data', (data) => (output += data));
    await until(() => fs.existsSync(socketPath));
    const [init] = childrenOf(child.pid);
    t.after(() => isRunning(child) && process.kill(init, 'SIGKILL'));

    const get = async () => {
      const [response] = await once(http.get({ socketPath }), 'response');
      assert.strictEqual((await response.toArray()).join(''), 'served\n');
    };
    // On a busy machine a shell may outlive what it was to leave behind, and then that is no orphan.
    while ([...output.matchAll(/^orphan \d+ ended: 3$/gm)].length < 500)
      await Promise.all(Array.from({ length: 25 }, get));
    await until(() => childrenOf(init).every((pid) => stateOf(pid) !== 'Z'));
    process.kill(init, 'SIGTERM');
    assert.deepStrictEqual(await once(child, 'exit'), [143, null]);
  },
);
