import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { inflateSync } from 'node:zlib';
import test from 'ava';
import { ImageError } from '../../ts/errors';
import { decodeImage } from '../../ts/image/decode';

const folder = join(__dirname, '..', 'golden', 'images');
const golden = JSON.parse(readFileSync(join(folder, 'expected.json'), 'utf8')) as {
  decoded: Record<string, { width: number; height: number; sha256: string }>;
};
const file = (name: string): string => join(folder, name);
const sha = (data: Uint8Array): string => createHash('sha256').update(data).digest('hex');

for (const [name, want] of Object.entries(golden.decoded)) {
  test(`decodes as Pillow: ${name}`, async (t) => {
    const image = await decodeImage(file(name));
    t.deepEqual([image.width, image.height, image.channels], [want.width, want.height, 3]);
    if (!name.endsWith('.avif')) return t.is(sha(image.data), want.sha256);
    // libheif and libavif round YUV to RGB differently.
    const rgb = inflateSync(readFileSync(file(`${name}.rgb.bin`)));
    t.is(image.data.length, rgb.length);
    t.true(image.data.every((value, i) => Math.abs(value - (rgb[i] as number)) <= 1));
  });
}

test('every way to name an image gives the same pixels', async (t) => {
  const want = golden.decoded['rgb.png']?.sha256;
  const bytes = readFileSync(file('rgb.png'));
  const server = createServer((request, response) => {
    response.statusCode = request.url === '/rgb.png' ? 200 : 404;
    response.end(bytes);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as { port: number };
  const url = `http://127.0.0.1:${port}/rgb.png`;
  const inputs = [
    file('rgb.png'),
    pathToFileURL(file('rgb.png')),
    pathToFileURL(file('rgb.png')).href,
    bytes,
    new Uint8Array(bytes),
    `data:image/png;base64,${bytes.toString('base64')}`,
    url,
    new URL(url),
  ];
  for (const input of inputs) t.is(sha((await decodeImage(input)).data), want);
  await t.throwsAsync(decodeImage(`http://127.0.0.1:${port}/none`), {
    instanceOf: ImageError,
    code: 'IMAGE_READ_FAILED',
    message: /404/u,
  });
  server.closeAllConnections();
  server.close();
});

test('raw pixels: grey is repeated, alpha dropped, nothing rotated', async (t) => {
  t.deepEqual(
    [...(await decodeImage({ data: Uint8Array.of(1, 2), width: 2, height: 1, channels: 1 })).data],
    [1, 1, 1, 2, 2, 2],
  );
  t.deepEqual(
    [...(await decodeImage({ data: Uint8Array.of(1, 2, 3, 0), width: 1, height: 1, channels: 4 })).data],
    [1, 2, 3],
  );
  await t.throwsAsync(decodeImage({ data: Uint8Array.of(1, 2), width: 2, height: 2, channels: 1 }), {
    code: 'IMAGE_INPUT_INVALID',
    message: /expected 4 bytes .* got 2/u,
  });
  await t.throwsAsync(decodeImage({ data: Uint8Array.of(1, 2), width: 2, height: 1, channels: 2 as 1 }), {
    code: 'IMAGE_INPUT_INVALID',
  });
  await t.throwsAsync(decodeImage({ data: Uint8Array.of(), width: 0, height: 1, channels: 1 }), {
    code: 'IMAGE_INPUT_INVALID',
  });
  await t.throwsAsync(decodeImage(7 as unknown as string), { instanceOf: ImageError, code: 'IMAGE_INPUT_INVALID' });
});

test('maxPixels: refused above, accepted at the limit', async (t) => {
  await t.notThrowsAsync(decodeImage(file('rgb.png'), { maxPixels: 83 * 61 }));
  await t.throwsAsync(decodeImage(file('rgb.png'), { maxPixels: 83 * 61 - 1 }), {
    instanceOf: ImageError,
    code: 'IMAGE_TOO_LARGE',
    message: /rgb\.png.*5062.*5063/u,
  });
  await t.throwsAsync(decodeImage(file('rgb.png'), { maxPixels: 0 }), { code: 'INVALID_OPTION' });
});

test('a bomb that only claims its size is refused by its header', async (t) => {
  const bytes = Buffer.from(readFileSync(file('rgb.png')));
  bytes.writeUInt32BE(60000, 16);
  bytes.writeUInt32BE(60000, 20);
  await t.throwsAsync(decodeImage(bytes), { instanceOf: ImageError });
  const tiff = (await import('sharp')).default({
    create: { width: 14000, height: 13000, channels: 3, background: 'red' },
  });
  await t.throwsAsync(decodeImage(await tiff.png().toBuffer()), { code: 'IMAGE_TOO_LARGE', message: /178956970/u });
});

test('missing files, other formats and garbage name their source', async (t) => {
  await t.throwsAsync(decodeImage(file('absent.png')), {
    instanceOf: ImageError,
    code: 'IMAGE_READ_FAILED',
    message: /absent\.png/u,
  });
  await t.throwsAsync(decodeImage(Buffer.from('no image')), {
    code: 'IMAGE_DECODE_FAILED',
    message: /image bytes \(8\)/u,
  });
  await t.throwsAsync(decodeImage(new Uint8Array()), { code: 'IMAGE_DECODE_FAILED' });
  await t.throwsAsync(decodeImage(Buffer.from('<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>')), {
    code: 'IMAGE_DECODE_FAILED',
    message: /svg/u,
  });
  await t.throwsAsync(decodeImage(new URL('ftp://a/b')), { code: 'IMAGE_READ_FAILED' });
});

for (const name of [
  'jpeg420.jpg',
  'progressive.jpg',
  'rgb.png',
  'palette.gif',
  'lossless.webp',
  'lossy.webp',
  'lzw.tif',
  'avif444.avif',
]) {
  test(`truncated ${name}: an ImageError at every cut`, async (t) => {
    const bytes = readFileSync(file(name));
    const cuts = new Set([
      0,
      1,
      7,
      12,
      30,
      ...Array.from({ length: 24 }, (_, i) => Math.floor((bytes.length * i) / 24)),
    ]);
    for (const cut of [...cuts].filter((at) => at < bytes.length * 0.97)) {
      const outcome = await decodeImage(bytes.subarray(0, cut)).then(
        () => 'decoded',
        (error: unknown) => error,
      );
      if (!(outcome instanceof ImageError)) t.fail(`cut at ${cut} of ${bytes.length}: ${String(outcome)}`);
    }
    t.pass();
  });
}

test('an aborted signal rejects with its reason', async (t) => {
  const reason = new Error('enough');
  t.is(await t.throwsAsync(decodeImage(file('rgb.png'), { signal: AbortSignal.abort(reason) })), reason);
});
