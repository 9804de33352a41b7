export { isReadableStream, ReadableStream } from '../../../../streams/readable.js';

import { readableCancel, readableState } from '../../../../streams/readable.js';
export function readableStreamCancel(stream, reason) {
	return readableCancel(readableState(stream), reason);
}
