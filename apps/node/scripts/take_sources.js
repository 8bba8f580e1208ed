// Before npm packs: uvreap's own sources come into the package, since it cannot reach outside its folder.
// After it: they go. `node take_sources.js away` does that.
'use strict';
const fs = require('fs');
const path = require('path');

const root = path.join(__dirname, '..');
const checkout = path.join(root, '..', '..');
const taken = { uvreap: 'lib', LICENSE: 'LICENSE' };

function away() {
  for (const name of Object.keys(taken)) fs.rmSync(path.join(root, name), { recursive: true, force: true });
}

away();
if (process.argv[2] !== 'away') {
  const { version } = JSON.parse(fs.readFileSync(path.join(root, 'package.json')));
  const its = /^ {2}version: '(.*)',$/m.exec(fs.readFileSync(path.join(checkout, 'meson.build'), 'utf8'))[1];
  if (version !== its) {
    console.error(`apps/node/package.json says version ${version}, and meson.build ${its}`);
    process.exit(1);
  }
  for (const part of ['include', 'src']) {
    fs.cpSync(path.join(checkout, 'lib', part), path.join(root, 'uvreap', part), { recursive: true });
  }
  fs.copyFileSync(path.join(checkout, 'LICENSE'), path.join(root, 'LICENSE'));
}
