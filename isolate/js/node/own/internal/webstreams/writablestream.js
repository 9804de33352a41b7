export { isWritableStream, WritableStream } from '../../../../streams/writable.js';
