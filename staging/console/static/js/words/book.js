// The texts of all modules that were loaded, by key: [Chinese, English]. Each module imports the file with its own.

export const WORDS = {};

/** Add texts; a key means the same everywhere. */
export function words(texts) {
  Object.assign(WORDS, texts);
}
