{
  # For tools that insist on node-gyp: hands over to CMake and compiles nothing itself.
  'targets': [{
    'target_name': 'ved',
    'type': 'none',
    'actions': [{
      'action_name': 'cmake_js',
      'inputs': ['CMakeLists.txt'],
      'outputs': ['build/Release/ved.node'],
      'action': ['node', 'native/build.cjs', 'rebuild', '--arch=<(target_arch)']
    }]
  }]
}
