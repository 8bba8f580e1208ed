'use strict';
const assert = require('node:assert');
const { spawnSync } = require('node:child_process');
const fs = require('node:fs');
const path = require('node:path');
const test = require('node:test');

// Debian's node-typescript brings both.
const types = '/usr/share/nodejs/@types';
const missing =
  spawnSync('tsc', ['--version']).status !== 0
    ? 'tsc'
    : !fs.existsSync(path.join(types, 'node')) && `${types}/node`;

test(
  'index.d.ts says what may be passed and what comes back',
  { skip: missing && `there is no ${missing}` },
  () => {
    const { status, stdout } = spawnSync(
      'tsc',
      [
        '--noEmit',
        '--strict',
        '--target',
        'es2020',
        '--module',
        'commonjs',
        '--typeRoots',
        types,
        '--types',
        'node',
        path.join(__dirname, 'types.ts'),
      ],
      { encoding: 'utf8' },
    );
    assert.strictEqual(stdout, '');
    assert.strictEqual(status, 0);
  },
);
