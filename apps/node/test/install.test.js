'use strict';
const assert = require('node:assert');
const { spawnSync } = require('node:child_process');
const path = require('node:path');
const test = require('node:test');

test('an installation without headers says what is missing and where it looked', () => {
  const install = path.join(path.dirname(require.resolve('uvreap')), 'scripts', 'install.js');
  const env = { ...process.env, npm_config_nodedir: '/nowhere' };
  const { status, stderr } = spawnSync(process.execPath, [install], { env, encoding: 'utf8' });
  assert.strictEqual(status, 1);
  assert.match(stderr, /^uvreap: no headers of Node \d+ in include\/node of \/nowhere\.\n/);
  assert.match(stderr, /libnode-dev/);
});
