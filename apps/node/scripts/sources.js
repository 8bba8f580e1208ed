// uvreap's sources for binding.gyp: all that meson builds, without io_uring (liburing would have to be there,
// and Docker's default profile refuses io_uring anyway).
'use strict';
const fs = require('fs');
const path = require('path');

// What only glibc since 2.34 has: see uvreap/src/os/c_library.hpp.
const { glibcVersionRuntime = '0.0' } = process.report.getReport().header;
const [major, minor] = glibcVersionRuntime.split('.').map(Number);
const hasGnuAlone = major > 2 || (major === 2 && minor >= 34);

const leftOut = ['ring.cpp', hasGnuAlone ? 'c_library_portable.cpp' : 'c_library_gnu.cpp'];

const root = path.join(__dirname, '..');
for (const folder of fs.readdirSync(path.join(root, 'uvreap', 'src'))) {
  for (const name of fs.readdirSync(path.join(root, 'uvreap', 'src', folder)).sort()) {
    if (name.endsWith('.cpp') && !leftOut.includes(name)) console.log(`uvreap/src/${folder}/${name}`);
  }
}
