// The streams standard: the classes that tenants see. The library itself works with the
// states behind them, by the functions of streams/*.js: createState, readerRead and so on.

export {
	ReadableByteStreamController,
	ReadableStreamBYOBReader,
	ReadableStreamBYOBRequest,
} from './streams/bytes.js';
export {
	ReadableStream,
	ReadableStreamDefaultController,
	ReadableStreamDefaultReader,
} from './streams/readable.js';
export { ByteLengthQueuingStrategy, CountQueuingStrategy } from './streams/strategies.js';
export {
	createTransformStream,
	TransformStream,
	TransformStreamDefaultController,
	transformEnqueue,
} from './streams/transform.js';
export {
	WritableStream,
	WritableStreamDefaultController,
	WritableStreamDefaultWriter,
} from './streams/writable.js';
