import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, readlinkSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { cacheFolder } from '../../ts/files/hub-cache.js';
import { resolveSource, type ResolveOptions } from '../../ts/files/hub.js';
import { rejects, tempFolder } from '../hostile/helpers.js';

const SHA = 'c'.repeat(40);
const sha256 = (text: string) => createHash('sha256').update(text).digest('hex');
const gitSha = (text: string) => createHash('sha1').update(`blob ${text.length}\0${text}`).digest('hex');

interface Hub {
  requests: string[];
  tokens: (string | undefined)[];
  files: Record<string, string>;
  intercept?: (request: IncomingMessage, response: ServerResponse) => boolean;
}
const hub: Hub = { requests: [], tokens: [], files: {} };

function answer(request: IncomingMessage, response: ServerResponse): void {
  const path = new URL(request.url ?? '', 'http://x').pathname;
  hub.requests.push(path);
  hub.tokens.push(request.headers.authorization);
  if (hub.intercept?.(request, response) === true) return;
  const json = (value: unknown) => {
    response.setHeader('content-type', 'application/json');
    response.end(JSON.stringify(value));
  };
  if (path === '/api/models/org/name/revision/main')
    return json({ _id: '1', id: 'org/name', sha: SHA, downloads: 0, likes: 0 });
  if (path === `/api/models/org/name/tree/${SHA}`) {
    return json(
      Object.entries(hub.files).map(([name, text]) =>
        name.endsWith('.safetensors')
          ? {
              type: 'file',
              path: name,
              oid: gitSha('pointer'),
              size: text.length,
              lfs: { oid: sha256(text), size: text.length, pointerSize: 7 },
            }
          : { type: 'file', path: name, oid: gitSha(text), size: text.length },
      ),
    );
  }
  const text = path.startsWith(`/org/name/resolve/${SHA}/`)
    ? hub.files[path.slice(`/org/name/resolve/${SHA}/`.length)]
    : undefined;
  if (text === undefined) {
    response.statusCode = 404;
    return json({ error: 'not found' });
  }
  response.end(text);
}

const server = createServer(answer);
test.before(async () => {
  await new Promise<void>((done) => {
    server.listen(0, '127.0.0.1', done);
  });
  process.env['HF_ENDPOINT'] = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
  for (const name of ['HF_TOKEN', 'HUGGING_FACE_HUB_TOKEN', 'HF_HUB_OFFLINE', 'TRANSFORMERS_OFFLINE'])
    delete process.env[name];
  process.env['HF_TOKEN_PATH'] = join(tempFolder(), 'none');
});
test.after.always(() => {
  server.closeAllConnections();
  server.close();
});
test.beforeEach(() => {
  hub.requests = [];
  hub.tokens = [];
  delete hub.intercept;
  hub.files = {
    'config.json': '{}',
    'generation_config.json': '{"a":1}',
    'model.safetensors': 'weights',
    'pytorch_model.bin': 'old',
    'README.md': '# no',
    'tokenizer.json': '{"t":1}',
    'tokenizer_config.json': '{}',
    'preprocessor_config.json': '{"p":1}',
  };
});

const get = (cacheDir: string, more: ResolveOptions = {}) => resolveSource('org/name', { cacheDir, ...more });
const status = (code: number) => {
  hub.intercept = (_, response) => {
    response.statusCode = code;
    response.end('no');
    return true;
  };
};
const leftovers = (cache: string) =>
  existsSync(cache)
    ? readdirSync(cache, { recursive: true })
        .map(String)
        .filter((name) => /incomplete|\.tmp/.test(name))
    : [];

test.serial('downloads what is needed into the layout of huggingface_hub', async (t) => {
  const cache = tempFolder();
  const seen: number[] = [];
  const folder = await get(cache, { onProgress: (p) => seen.push(p.loaded) });
  const repo = join(cache, 'models--org--name');
  t.is(folder, join(repo, 'snapshots', SHA));
  t.is(readFileSync(join(repo, 'refs', 'main'), 'utf8'), SHA);
  t.deepEqual(readdirSync(folder).sort(), ['config.json', 'generation_config.json', 'model.safetensors']);
  t.is(readlinkSync(join(folder, 'model.safetensors')), `../../blobs/${sha256('weights')}`);
  t.is(readlinkSync(join(folder, 'config.json')), `../../blobs/${gitSha('{}')}`);
  t.true(seen.includes(7));
  t.deepEqual(leftovers(cache), []);
  hub.requests = [];
  await get(cache);
  t.false(
    hub.requests.some((path) => path.includes('/resolve/')),
    'nothing is fetched twice',
  );
  t.is(await get(cache, { revision: SHA }), folder);
  await get(cache, { files: ['tokenizer', 'processor'] });
  t.true(existsSync(join(folder, 'tokenizer.json')) && existsSync(join(folder, 'preprocessor_config.json')));
});

test.serial('shards of an index', async (t) => {
  delete hub.files['model.safetensors'];
  hub.files['model.safetensors.index.json'] = JSON.stringify({
    weight_map: { a: 'm-1.safetensors', b: 'm-2.safetensors' },
  });
  hub.files['m-1.safetensors'] = 'one';
  await rejects(t, () => get(tempFolder()), 'HUB_FILE_MISSING');
  hub.files['m-2.safetensors'] = 'two';
  t.true(existsSync(join(await get(tempFolder()), 'm-2.safetensors')));
});

test.serial('the token is sent, and only to the Hub', async (t) => {
  const elsewhere: (string | undefined)[] = [];
  const cdn = createServer((request, response) => {
    elsewhere.push(request.headers.authorization);
    response.end('weights');
  });
  await new Promise<void>((done) => {
    cdn.listen(0, '127.0.0.1', done);
  });
  hub.intercept = (request, response) => {
    if (request.url?.includes('/resolve/') !== true || !request.url.endsWith('.safetensors')) return false;
    response.writeHead(302, { location: `http://127.0.0.1:${(cdn.address() as AddressInfo).port}/x` }).end();
    return true;
  };
  await get(tempFolder(), { token: 'secret' });
  t.true(hub.tokens.every((token) => token === 'Bearer secret'));
  t.deepEqual(elsewhere, [undefined]);
  cdn.closeAllConnections();
  cdn.close();
});

for (const [code, name] of [
  [401, 'HUB_UNAUTHORIZED'],
  [403, 'HUB_FORBIDDEN'],
  [404, 'HUB_NOT_FOUND'],
  [500, 'HUB_SERVER_ERROR'],
] as const) {
  test.serial(`HTTP ${code}`, async (t) => {
    const cache = tempFolder();
    status(code);
    await rejects(t, () => get(cache), name);
    t.deepEqual(readdirSync(cache), []);
  });
}

async function spoiled(t: ExecutionContext, body: (response: ServerResponse) => void, code: string): Promise<void> {
  const cache = tempFolder();
  hub.intercept = (request, response) => {
    if (request.url?.endsWith('model.safetensors') !== true) return false;
    body(response);
    return true;
  };
  await rejects(t, () => get(cache), code);
  t.deepEqual(leftovers(cache), []);
  t.false(existsSync(join(cache, 'models--org--name', 'refs')));
  t.false(existsSync(join(cache, 'models--org--name', 'blobs', sha256('weights'))));
}

test.serial('a cut-off body leaves nothing behind', (t) => spoiled(t, (r) => r.end('weig'), 'HUB_DOWNLOAD_INCOMPLETE'));
test.serial('a connection that breaks leaves nothing behind', (t) =>
  spoiled(
    t,
    (r) => {
      r.writeHead(200, { 'content-length': '7' }).write('we', () => r.destroy());
    },
    'HUB_UNREACHABLE',
  ),
);
test.serial('a wrong body', (t) => spoiled(t, (r) => r.end('wEights'), 'HUB_CHECKSUM_MISMATCH'));
test.serial('a body without end', (t) => spoiled(t, (r) => r.end('weights and more'), 'HUB_SIZE_MISMATCH'));

test.serial('two downloads at once', async (t) => {
  const cache = tempFolder();
  const [a, b] = await Promise.all([get(cache), get(cache)]);
  t.is(a, b);
  t.is(readFileSync(join(a, 'model.safetensors'), 'utf8'), 'weights');
  t.deepEqual(leftovers(cache), []);
});

test.serial('an abort rejects with its reason', async (t) => {
  const reason = new Error('enough');
  const controller = new AbortController();
  hub.intercept = (request) => {
    if (request.url?.endsWith('model.safetensors') !== true) return false;
    controller.abort(reason);
    return true; // never answered
  };
  const cache = tempFolder();
  t.is(await t.throwsAsync(() => get(cache, { signal: controller.signal })), reason);
  t.deepEqual(leftovers(cache), []);
});

test.serial('without network: a cache made by Python is read, another one is an error', async (t) => {
  const cache = tempFolder();
  const repo = join(cache, 'models--org--name');
  for (const name of ['blobs', 'refs', join('snapshots', SHA)]) mkdirSync(join(repo, name), { recursive: true });
  writeFileSync(join(repo, 'refs', 'main'), SHA);
  for (const name of ['config.json', 'model.safetensors']) {
    writeFileSync(join(repo, 'blobs', `etag-${name}`), 'x');
    symlinkSync(`../../blobs/etag-${name}`, join(repo, 'snapshots', SHA, name));
  }
  const folder = join(repo, 'snapshots', SHA);
  t.is(await get(cache, { localFilesOnly: true }), folder);
  await rejects(t, () => get(cache, { localFilesOnly: true, files: 'tokenizer' }), 'HUB_NOT_CACHED');
  await rejects(t, () => get(tempFolder(), { localFilesOnly: true }), 'HUB_NOT_CACHED');
  process.env['HF_HUB_OFFLINE'] = '1';
  t.is(await get(cache), folder);
  delete process.env['HF_HUB_OFFLINE'];
  t.deepEqual(hub.requests, []);
  status(500);
  t.is(await get(cache), folder);
  const endpoint = process.env['HF_ENDPOINT'];
  process.env['HF_ENDPOINT'] = 'http://127.0.0.1:9';
  t.is(await get(cache), folder);
  await rejects(t, () => get(tempFolder()), 'HUB_UNREACHABLE');
  process.env['HF_ENDPOINT'] = endpoint;
});

test.serial('sources and revisions', async (t) => {
  const folder = tempFolder();
  t.is(await resolveSource(folder), folder);
  writeFileSync(join(folder, 'f'), '');
  await rejects(t, () => resolveSource(join(folder, 'f')), 'SOURCE_NOT_FOLDER');
  await rejects(t, () => resolveSource(''), 'SOURCE_INVALID');
  for (const source of [
    './nothing',
    '/nothing/here',
    'a/b/c',
    '../x',
    'a/..',
    'org/na--me',
    'org/',
    'C:\\x',
    'org/x.git',
  ]) {
    await rejects(t, () => resolveSource(source), 'SOURCE_NOT_FOUND');
  }
  for (const revision of ['../x', '/x', 'a//b', 'a\\b', ''])
    await rejects(t, () => get(folder, { revision }), 'REVISION_INVALID');
});

test('cache folder from the environment', (t) => {
  t.is(cacheFolder(undefined, { HF_HUB_CACHE: '/a', HF_HOME: '/b' }), '/a');
  t.is(cacheFolder(undefined, { HUGGINGFACE_HUB_CACHE: '/c', HF_HOME: '/b' }), '/c');
  t.is(cacheFolder(undefined, { HF_HOME: '$X/b', X: '/x' }), '/x/b/hub');
  t.is(cacheFolder(undefined, { XDG_CACHE_HOME: '/d' }), '/d/huggingface/hub');
  t.is(cacheFolder('/e', { HF_HUB_CACHE: '/a' }), '/e');
});
