{
  'targets': [{
    'target_name': 'uvreap',
    'sources': [
      'addon/environment.cpp',
      'addon/module.cpp',
      'addon/values.cpp',
      '<!@(node scripts/sources.js)',
    ],
    'include_dirs': ['uvreap/include', 'uvreap/src'],
    'defines': ['NAPI_VERSION=8', '_GNU_SOURCE'],
    # Node's own flags forbid exceptions and RTTI, and name an older C++.
    'cflags_cc!': ['-fno-exceptions', '-fno-rtti', '-std=gnu++14', '-std=gnu++17'],
    'cflags_cc': [
      '-std=gnu++20',
      '-Wall',
      '-Wextra',
      '-Wno-missing-field-initializers',
      '-fvisibility=hidden',
    ],
    # A thread of uvreap's outlives the worker that loaded it, so its code has to stay.
    # The linker runs in build/; a whole path could have a space.
    'ldflags': ['-Wl,-z,nodelete', '-Wl,--version-script=../exports.map'],
  }],
}
