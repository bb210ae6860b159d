// One CommonJS build serves both module systems, so no state is doubled. Node finds the names by reading
// index.js, which works for what TypeScript emits; test/unit/exports.test.ts compares the two lists.
export * from './index.js';
