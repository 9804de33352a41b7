// node:buffer, for library code.
import buffer from './upstream/buffer.js';
export const { Buffer } = buffer;
export default buffer;
