export { AutoTokenizer, type AutoTokenizerOptions } from './auto-tokenizer.js';
