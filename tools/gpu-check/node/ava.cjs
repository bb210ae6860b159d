// Stands in for ava where only plain Node is at hand: the test files run unchanged. Only what they use is here; anything else
// throws a TypeError, which fails the test. run-tests.cjs collects and runs what `test` registers.
'use strict';
const assert = require('node:assert/strict');
const { isDeepStrictEqual } = require('node:util');

const registered = [];
const register = (kind) => (title, body) => {
  if (typeof title === 'function') registered.push({ kind, title: kind, body: title });
  else registered.push({ kind, title, body });
};

const test = register('test');
test.serial = test;
test.skip = register('skip');
test.before = register('before');
test.after = Object.assign(register('after'), { always: register('after') });

function matchesExpectation(error, expectation) {
  if (!expectation) return;
  const { instanceOf, message, code, name, is, any } = expectation;
  if (!any) assert.ok(error instanceof Error, `expected an Error, got ${String(error)}`);
  if (instanceOf)
    assert.ok(error instanceof instanceOf, `expected ${instanceOf.name}, got ${error?.name}: ${error?.message}`);
  if (message instanceof RegExp) assert.match(error.message, message);
  else if (typeof message === 'function') assert.ok(message(error.message), `message: ${error.message}`);
  else if (message !== undefined) assert.equal(error.message, message);
  if (code !== undefined) assert.equal(error.code, code);
  if (name !== undefined) assert.equal(error.name, name);
  if (is !== undefined) assert.equal(error, is);
}

/** ava's `t`: every assertion throws at once, and a test without any fails. */
function createContext(title, log) {
  const teardowns = [];
  let assertions = 0;
  const counted =
    (check) =>
    (...args) => {
      assertions += 1;
      return check(...args);
    };
  const t = {
    title,
    context: {},
    log: (...args) => log(args.join(' ')),
    teardown: (body) => teardowns.unshift(body),
    timeout: () => {},
    pass: () => {},
    fail: (message) => assert.fail(message ?? 'fail'),
    is: (got, want, message) =>
      assert.ok(Object.is(got, want), `${message ?? ''} expected ${show(want)}, got ${show(got)}`),
    not: (got, want, message) =>
      assert.ok(!Object.is(got, want), `${message ?? ''} expected something other than ${show(got)}`),
    true: (value, message) => assert.ok(value === true, message ?? `expected true, got ${show(value)}`),
    false: (value, message) => assert.ok(value === false, message ?? `expected false, got ${show(value)}`),
    truthy: (value, message) => assert.ok(value, message ?? `expected a truthy value, got ${show(value)}`),
    falsy: (value, message) => assert.ok(!value, message ?? `expected a falsy value, got ${show(value)}`),
    assert: (value, message) => assert.ok(value, message ?? `expected a truthy value, got ${show(value)}`),
    deepEqual: (got, want, message) => assert.deepEqual(got, want, message),
    notDeepEqual: (got, want, message) => assert.ok(!isDeepStrictEqual(got, want), message ?? 'expected a difference'),
    regex: (text, pattern, message) => assert.match(text, pattern, message),
    notRegex: (text, pattern, message) => assert.doesNotMatch(text, pattern, message),
    notThrows: (body) => body(),
    notThrowsAsync: async (body) => void (await (typeof body === 'function' ? body() : body)),
    throws(body, expectation) {
      let thrown;
      try {
        body();
      } catch (error) {
        thrown = { error };
      }
      assert.ok(thrown, 'expected an exception');
      matchesExpectation(thrown.error, expectation);
      return thrown.error;
    },
    async throwsAsync(body, expectation) {
      let thrown;
      try {
        await (typeof body === 'function' ? body() : body);
      } catch (error) {
        thrown = { error };
      }
      assert.ok(thrown, 'expected a rejection');
      matchesExpectation(thrown.error, expectation);
      return thrown.error;
    },
  };
  for (const name of Object.keys(t)) {
    if (typeof t[name] === 'function' && !['log', 'teardown', 'timeout'].includes(name)) t[name] = counted(t[name]);
  }
  return { t, teardowns, assertions: () => assertions };
}

function show(value) {
  const text = typeof value === 'string' ? JSON.stringify(value) : String(value);
  return text.length > 300 ? `${text.slice(0, 300)}…` : text;
}

/** Takes what the files loaded so far have registered. */
const take = () => registered.splice(0);

module.exports = test;
module.exports.default = test;
Object.defineProperty(module.exports, '__esModule', { value: true });
module.exports.harness = { take, createContext };
