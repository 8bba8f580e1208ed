// Where the headers of this Node are: the folder for node-gyp's --nodedir, which has them in include/node.
'use strict';
const fs = require('fs');
const os = require('os');
const path = require('path');

const wanted = Number(process.versions.node.split('.')[0]);
const asked = process.env.npm_config_nodedir;

const places = (
  asked
    ? [asked]
    : [
        path.join(path.dirname(process.execPath), '..'), // from nodejs.org, nvm, NodeSource
        '/usr', // libnode-dev of Debian
        path.join(os.homedir(), '.cache', 'node-gyp', process.versions.node), // node-gyp install
      ]
).map((place) => path.resolve(place));

// The major version of the Node that they are of.
function versionIn(place) {
  try {
    const text = fs.readFileSync(path.join(place, 'include', 'node', 'node_version.h'), 'utf8');
    return Number(/#define NODE_MAJOR_VERSION (\d+)/.exec(text)[1]);
  } catch {
    return undefined;
  }
}

const nodedir = places.find((place) => versionIn(place) === wanted);
const missing = `no headers of Node ${wanted} in include/node of ${places.join(', ')}`;

module.exports = { nodedir, missing };
