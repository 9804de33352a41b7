// node:stream, for library code.
import stream from './upstream/stream.js';
export const { Readable, Writable, Duplex, Transform, PassThrough, finished, pipeline } = stream;
export default stream;
