// internalBinding('zlib'): what upstream/zlib.js calls, on isolate/native_zlib.c.

import { currentContext, enterContext } from '../async_context.js';
import { hooks } from '../hooks.js';
import { native } from '../native.js';
import { Error, ReflectApply } from '../primordials.js';
import { registerBinding } from './binding.js';
import { validateInteger } from './validators.js';
import { nodeError } from '../validate.js';

const { zlibCrc32, ZlibHandle } = native;
const { open, run, start, change, reset, close } = ZlibHandle.prototype;

let finish;

// One compressor with what JavaScript wants to hear of it.
class CompressionStream extends ZlibHandle {
	#state;
	#callback;
	#context = currentContext();

	static {
		finish = (stream, failure) => stream.#finish(failure);
	}
	// Returns what was wrong: [message, code, number].
	open(state, callback, ...rest) {
		this.#state = state;
		this.#callback = callback;
		return ReflectApply(open, this, rest);
	}
	write(flush, input, inputOffset, inputLength, output, outputOffset, outputLength) {
		ReflectApply(start, this, [
			flush,
			input,
			inputOffset,
			inputLength,
			output,
			outputOffset,
			outputLength,
			this.#state,
		]);
	}
	writeSync(flush, input, inputOffset, inputLength, output, outputOffset, outputLength) {
		this.#tell(
			ReflectApply(run, this, [
				flush,
				input,
				inputOffset,
				inputLength,
				output,
				outputOffset,
				outputLength,
				this.#state,
			]),
		);
	}
	params(level, strategy) {
		this.#tell(ReflectApply(change, this, [level, strategy]));
	}
	reset() {
		this.#tell(ReflectApply(reset, this, []));
	}
	close() {
		ReflectApply(close, this, []);
	}
	#tell(failure) {
		if (failure !== undefined) this.onerror(failure[0], failure[2], failure[1]);
	}
	#finish(failure) {
		enterContext(this.#context);
		if (failure !== undefined) this.#tell(failure);
		else ReflectApply(this.#callback, this, []);
	}
}

hooks.zlibDone = (stream, failure) => finish(stream, failure);

function initializationFailed(message) {
	return nodeError(Error, 'ERR_ZLIB_INITIALIZATION_FAILED', message);
}

class Zlib extends CompressionStream {
	init(windowBits, level, memLevel, strategy, state, callback, dictionary, single) {
		const failure = this.open(
			state,
			callback,
			windowBits,
			level,
			memLevel,
			strategy,
			single,
			undefined,
			undefined,
			dictionary,
		);
		if (failure !== undefined) throw initializationFailed(failure[0]);
	}
}

function openWith(stream, parameters, size, state, callback, dictionary) {
	return stream.open(state, callback, 0, 0, 1, 0, false, parameters, size, dictionary);
}

class Brotli extends CompressionStream {
	init(parameters, state, callback, dictionary) {
		const failure = openWith(this, parameters, undefined, state, callback, dictionary);
		if (failure !== undefined) throw initializationFailed('Initialization failed');
	}
}
class BrotliEncoder extends Brotli {}
class BrotliDecoder extends Brotli {}

class Zstd extends CompressionStream {
	init(parameters, size, state, callback, dictionary) {
		if (size !== undefined) validateInteger(size, 'options.pledgedSrcSize', 0);
		const failure = openWith(this, parameters, size, state, callback, dictionary);
		if (failure !== undefined) throw initializationFailed(failure[0]);
	}
}
class ZstdCompress extends Zstd {
	constructor() {
		super(10);
	}
}
class ZstdDecompress extends Zstd {
	constructor() {
		super(11);
	}
}

registerBinding('zlib', {
	BrotliDecoder,
	BrotliEncoder,
	Zlib,
	ZstdCompress,
	ZstdDecompress,
	crc32: zlibCrc32,
});
