#!/bin/sh
# Stands in for node-gyp when prebuildify asks for a build.
exec node "$(dirname "$0")/build.cjs" "$@"
