import test from 'ava';
import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import { pathToFileURL } from 'node:url';

const tool = pathToFileURL(path.join(__dirname, '..', '..', 'tools', 'check-layers.mjs')).href;

async function check(files: Record<string, string>): Promise<string[]> {
  const root = fs.mkdtempSync(path.join(os.tmpdir(), 'ved-layers-'));
  try {
    for (const [name, text] of Object.entries(files)) {
      fs.mkdirSync(path.dirname(path.join(root, name)), { recursive: true });
      fs.writeFileSync(path.join(root, name), text);
    }
    const { checkLayers } = (await import(tool)) as { checkLayers(root: string): string[] };
    return checkLayers(root);
  } finally {
    fs.rmSync(root, { recursive: true, force: true });
  }
}

test('allowed arrows give no violation', async (t) => {
  const problems = await check({
    'native/core/error.h': '#include <string>\n',
    'native/ops/linear.h': '#include "core/error.h"\n#include "backend.h"\n',
    'native/ops/backend.h': '',
    'native/ops/cuda/linear.cu': '#include <cuda_runtime.h>\n#include "ops/linear.h"\n',
    'native/plan/plan.h': '#include "ops/linear.h"\n',
    'native/addon/init.cpp': '#include <napi.h>\n#include "plan/plan.h"\n',
    'ts/errors.ts': '',
    'ts/model.ts': "import { a } from './arch/registry';\nimport { b } from './files/json';\n",
    'ts/arch/registry.ts':
      "import type { T } from '../files/json';\nimport { type U } from '../files/json';\nimport '../errors';\n",
    'ts/files/json.ts': "// import '../model';\n/* import '../arch/registry'; */\nimport * as fs from 'node:fs';\n",
  });
  t.deepEqual(problems, []);
});

test('each forbidden include is named with its line', async (t) => {
  const problems = await check({
    'native/core/error.h': '// core\n#include "ops/linear.h"\n',
    'native/ops/linear.h': '#include <napi.h>\n#include <cuda_fp16.h>\n#include "../plan/plan.h"\n',
    'native/plan/plan.h': '#include "engine/engine.h"\n',
    'native/misc/x.h': '',
  });
  t.deepEqual(problems, [
    'native/core/error.h:2: core must not use ops ("ops/linear.h")',
    "native/misc/x.h: 'misc' is not a room of native/ (tools/check-layers.mjs lists them)",
    'native/ops/linear.h:1: <napi.h> belongs to native/addon/ alone',
    'native/ops/linear.h:2: <cuda_fp16.h> belongs to native/ops/cuda/ alone',
    'native/ops/linear.h:3: ops must not use plan ("../plan/plan.h")',
    'native/plan/plan.h:1: plan must not use engine ("engine/engine.h")',
  ]);
});

test('each forbidden import is named with its line', async (t) => {
  const problems = await check({
    'ts/files/json.ts': "import { x } from '../model';\nexport * from '../arch/registry';\n",
    'ts/spec/weights.ts': "import {\n  a,\n  type T,\n} from '../files/json';\nconst n = require('../native/load');\n",
    'ts/text/t.ts': "import sharp from 'sharp';\nconst m = await import('../image/x');\n",
    'ts/image/x.ts': "const r = require('../../native/resolve.cjs');\n",
    'ts/stray.ts': '',
  });
  t.deepEqual(problems, [
    "ts/files/json.ts:1: files must not use model ('../model')",
    "ts/files/json.ts:2: files must not use arch ('../arch/registry')",
    "ts/image/x.ts:1: '../../native/resolve.cjs' belongs to ts/native/ alone",
    "ts/spec/weights.ts:1: spec must not use more than types of files ('../files/json')",
    "ts/spec/weights.ts:5: spec must not use native ('../native/load')",
    "ts/stray.ts: 'stray' is not a room of ts/ (tools/check-layers.mjs lists them)",
    "ts/text/t.ts:1: 'sharp' belongs to ts/image/ alone",
    "ts/text/t.ts:2: text must not use image ('../image/x')",
  ]);
});

test('the package itself keeps to the arrows', async (t) => {
  const { checkLayers } = (await import(tool)) as { checkLayers(root: string): string[] };
  t.deepEqual(checkLayers(path.join(__dirname, '..', '..')), []);
});
