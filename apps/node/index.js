// index.d.ts says what each does.
'use strict';
const { watch, terminate } = require('./lib/watch.js');
const { run } = require('./lib/run.js');
const { reapOrphans } = require('./lib/orphans.js');

module.exports = { watch, run, terminate, reapOrphans };
