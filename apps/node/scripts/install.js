// npm install: builds the addon by node-gyp, with headers that are on this machine, and downloads none.
'use strict';
const { spawnSync } = require('child_process');
const path = require('path');

const { nodedir, missing } = require('./headers.js');

function fail(message) {
  console.error(`uvreap: ${message}`);
  process.exit(1);
}

if (nodedir === undefined) {
  fail(
    `${missing}.\n` +
      'They come with Node from nodejs.org. On Debian: apt-get install libnode-dev. ' +
      'Elsewhere: npx node-gyp install.\n' +
      'Or name a folder that has include/node: npm_config_nodedir=FOLDER npm install.',
  );
}

const gyp = process.env.npm_config_node_gyp; // the one that npm brings
const [program, ...args] = [
  ...(gyp ? [process.execPath, gyp] : ['node-gyp']),
  'rebuild',
  `--nodedir=${nodedir}`,
  '--jobs=max',
];
const { status, error } = spawnSync(program, args, { cwd: path.join(__dirname, '..'), stdio: 'inherit' });
if (error || status !== 0) {
  fail(
    `${[program, ...args].join(' ')} failed${error ? `: ${error.message}` : ''}.\n` +
      'It needs node-gyp (npm brings it), python3, make, and g++ 12 or clang 14, or newer.',
  );
}
