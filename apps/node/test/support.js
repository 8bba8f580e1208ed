'use strict';
const { execFileSync, spawn, spawnSync } = require('node:child_process');
const { once } = require('node:events');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { buffer } = require('node:stream/consumers');

const { reapOrphans } = require('uvreap');

// From now on orphans come to this process; children of it that child_process did not make.
function becomeSubreaper() {
  reapOrphans({ subreaper: true, signals: false }).stop();
}

// An orphan of this process, running SCRIPT in a shell, once the gate is opened. Its maker has ended.
class Orphan {
  constructor(script) {
    this.folder = fs.mkdtempSync(path.join(os.tmpdir(), 'uvreap-'));
    this.gate = path.join(this.folder, 'gate');
    execFileSync('mkfifo', [this.gate]);
    const body = `exec </dev/null >/dev/null 2>&1; gate='${this.gate}'; read line <"$gate"; ${script}`;
    const { stdout } = spawnSync('sh', ['-c', '(eval "$1") & echo $!', 'sh', body], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    this.pid = Number(stdout);
  }

  async open() {
    await fs.promises.writeFile(this.gate, '\n');
  }
}

function orphan(t, script) {
  const made = new Orphan(script);
  t.after(() => fs.rmSync(made.folder, { recursive: true, force: true }));
  return made;
}

// The letter of its state, or undefined: there is no such process.
function stateOf(pid) {
  try {
    return /^\d+ \(.*\) (.)/s.exec(fs.readFileSync(`/proc/${pid}/stat`, 'latin1'))[1];
  } catch {
    return undefined;
  }
}

// Of all its threads.
function childrenOf(pid) {
  const lists = fs
    .readdirSync(`/proc/${pid}/task`)
    .map((task) => fs.readFileSync(`/proc/${pid}/task/${task}/children`, 'utf8'));
  return lists.join('').split(' ').filter(Boolean).map(Number);
}

// Looks again in each turn of the loop until it is so; the test's own timeout is the bound.
async function until(isSo) {
  while (!isSo()) await new Promise((resolve) => setTimeout(resolve, 1));
}

// Runs SCRIPT in a Node of its own, which has to end by itself.
async function inNode(script, ...before) {
  const [file, ...args] = [...before, process.execPath, '-e', script];
  const child = spawn(file, args, { cwd: __dirname, stdio: ['ignore', 'pipe', 'pipe'] });
  const ended = once(child, 'close');
  const limit = setTimeout(() => child.kill('SIGKILL'), 60_000);
  const [stdout, stderr] = await Promise.all([buffer(child.stdout), buffer(child.stderr)]);
  const [code, signal] = await ended;
  clearTimeout(limit);
  return { code, signal, stdout: stdout.toString(), stderr: stderr.toString() };
}

// A ChildProcess.
const isRunning = ({ exitCode, signalCode }) => exitCode === null && signalCode === null;

// A reason to skip, or false.
const noNamespace = (() => {
  const { status } = spawnSync('unshare', ['-pf', '--mount-proc', 'true'], { stdio: 'ignore' });
  return status === 0 ? false : 'this machine refuses unshare -pf --mount-proc';
})();

module.exports = { becomeSubreaper, orphan, stateOf, childrenOf, until, inNode, isRunning, noNamespace };
