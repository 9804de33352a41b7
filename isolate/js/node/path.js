// node:path, for library code.
import path from './upstream/path.js';
export default path;
