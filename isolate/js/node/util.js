// node:util, for library code.
import util from './upstream/util.js';
export const { promisify, inspect } = util;
export default util;
