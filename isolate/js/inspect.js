// util.inspect and util.format as Node has them: for console, and for whoever shows
// values to people.

export { previewEntries } from './inspect/collections.js';
export { formatWithOptions } from './inspect/printf.js';
export { getStringWidth } from './inspect/strings.js';
export { inspect } from './inspect/value.js';
