// CompressionStream and DecompressionStream (the compression standard): gzip, deflate,
// deflate-raw, brotli and zstd, on isolate/native_zlib.c. What a chunk unpacks into is made
// piece by piece, as the reader takes it: a bomb costs no memory.

import { bytesOf, isBufferSource, isSharedArrayBuffer, typedArrayName } from './bytes.js';
import { native } from './native.js';
import {
	ArrayBufferIsView,
	DataViewPrototypeGetBuffer,
	TypedArrayPrototypeGetBuffer,
	TypedArrayPrototypeGetByteLength,
	TypedArrayPrototypeSlice,
	TypeError,
	Uint8Array,
	Uint32Array,
} from './primordials.js';
import { nodeError } from './validate.js';
import { defineInterface, illegalInvocation, requireArguments } from './webidl.js';
import { chain, resolvedPromise } from './streams/shared.js';
import { createTransformStream, transformBlocked, transformEnqueue } from './streams/transform.js';

const { ZlibHandle } = native;
const PIECE = 65536;
const none = new Uint8Array(0);

// [mode to compress, mode to decompress, flush at the end], as isolate/compressor.h and the
// libraries number them.
const formats = {
	__proto__: null,
	deflate: [1, 2, 4],
	'deflate-raw': [5, 6, 4],
	gzip: [3, 4, 4],
	brotli: [9, 8, 2],
	zstd: [10, 11, 2],
};

// Where all of them unpack to: what comes out is copied, and only then does anybody run.
let piece;
let state; // [room left, input left]

function bufferOf(view) {
	return typedArrayName(view) === undefined
		? DataViewPrototypeGetBuffer(view)
		: TypedArrayPrototypeGetBuffer(view);
}

function chunkBytes(chunk) {
	if (!isBufferSource(chunk) || isSharedArrayBuffer(ArrayBufferIsView(chunk) ? bufferOf(chunk) : chunk))
		throw nodeError(
			TypeError,
			'ERR_INVALID_ARG_TYPE',
			'The chunk must be an ArrayBuffer or a view of one',
		);
	return bytesOf(chunk);
}

function invalidData(message, code = 'ERR_INVALID_ARG_VALUE') {
	return nodeError(TypeError, code, message);
}

// Called with what FAILURE of the library is: [message, code, number].
function failed(failure) {
	const error = invalidData(failure[0], failure[1]);
	error.errno = failure[2];
	return error;
}

function format(name, decompress) {
	const found = formats[`${name}`];
	if (found === undefined)
		throw nodeError(
			TypeError,
			'ERR_INVALID_ARG_VALUE',
			`The argument 'format' must be one of: 'deflate', 'deflate-raw', 'gzip', 'brotli', 'zstd'. Received '${name}'`,
		);
	const handle = new ZlibHandle(found[decompress ? 1 : 0]);
	const wrong = handle.open(decompress && name !== 'deflate-raw' ? 0 : 15, -1, 8, 0, true);
	if (wrong !== undefined) throw failed(wrong);
	return { __proto__: null, handle, flush: found[2], decompress };
}

// Gives all that INPUT from OFFSET makes to CONTROLLER's readable side. Undefined when that
// is done, else a promise.
function pump(coder, controller, flush, input, offset) {
	const length = TypedArrayPrototypeGetByteLength(input);
	for (;;) {
		piece ??= new Uint8Array(PIECE);
		state ??= new Uint32Array(2);
		const failure = coder.handle.run(flush, input, offset, length - offset, piece, 0, PIECE, state);
		if (failure !== undefined) throw failed(failure);
		const room = state[0];
		offset = length - state[1];
		if (room < PIECE)
			transformEnqueue(controller, TypedArrayPrototypeSlice(piece, 0, PIECE - room));
		if (room > 0) break;
		const blocked = transformBlocked(controller);
		if (blocked !== undefined)
			return chain(
				blocked,
				() => pump(coder, controller, flush, input, offset) ?? resolvedPromise(undefined),
			);
	}
	if (offset < length)
		throw invalidData(
			'Trailing junk found after the end of the compressed stream',
			'ERR_TRAILING_JUNK_AFTER_STREAM_END',
		);
	return undefined;
}

function transform(coder, chunk, controller) {
	const bytes = chunkBytes(chunk);
	if (TypedArrayPrototypeGetByteLength(bytes) === 0) return undefined;
	if (coder.decompress && coder.handle.ended())
		throw invalidData(
			'Trailing junk found after the end of the compressed stream',
			'ERR_TRAILING_JUNK_AFTER_STREAM_END',
		);
	return pump(coder, controller, 0, bytes, 0);
}

function finish(coder, controller) {
	if (!coder.decompress) return pump(coder, controller, coder.flush, none, 0);
	if (!coder.handle.ended()) throw invalidData('unexpected end of file', 'Z_BUF_ERROR');
	return undefined;
}

function makeStream(name, decompress) {
	const coder = format(name, decompress);
	return createTransformStream({
		transform: (chunk, controller) => transform(coder, chunk, controller),
		flush: (controller) => finish(coder, controller),
	});
}

export class CompressionStream {
	#stream;

	constructor(format) {
		requireArguments(arguments.length, 1, 'CompressionStream');
		this.#stream = makeStream(format, false);
	}
	get readable() {
		return #stream in this ? this.#stream.readable : illegalInvocation();
	}
	get writable() {
		return #stream in this ? this.#stream.writable : illegalInvocation();
	}
}
defineInterface(CompressionStream, 'CompressionStream');

export class DecompressionStream {
	#stream;

	constructor(format) {
		requireArguments(arguments.length, 1, 'DecompressionStream');
		this.#stream = makeStream(format, true);
	}
	get readable() {
		return #stream in this ? this.#stream.readable : illegalInvocation();
	}
	get writable() {
		return #stream in this ? this.#stream.writable : illegalInvocation();
	}
}
defineInterface(DecompressionStream, 'DecompressionStream');
