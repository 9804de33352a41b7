// TextEncoder, TextDecoder and their streams (the WHATWG encoding standard). UTF-8 and
// UTF-16 are native; the legacy encodings are those of @exodus/bytes, whose tables are
// unpacked when first used.

import { createMultibyteDecoder } from '@exodus/bytes/multi-byte.js';
import { createSinglebyteDecoder } from '@exodus/bytes/single-byte.js';

import {
	FunctionPrototypeSymbolHasInstance,
	RangeError,
	RegExpPrototypeExec,
	String,
	StringPrototypeCharCodeAt,
	StringPrototypeSlice,
	StringPrototypeToLowerCase,
	TypeError,
	TypedArrayPrototypeGetLength,
	TypedArrayPrototypeSet,
	TypedArrayPrototypeSlice,
	TypedArrayPrototypeSubarray,
	Uint32Array,
	Uint8Array,
} from './primordials.js';
import { bytesOf, isUint8Array } from './bytes.js';
import { encodingName } from './encoding_labels.js';
import { codedError } from './errors.js';
import { native } from './native.js';
import { createTransformStream, transformEnqueue } from './streams.js';
import {
	defineInterface,
	illegalInvocation,
	inspectCustom,
	requireArguments,
	toDictionary,
} from './webidl.js';

const { utf16Decode, utf8Decode, utf8Encode, utf8EncodeInto } = native;

// Flags of utf8Decode and utf16Decode (isolate/native_text.c).
const FATAL = 1;
const STRIP_BOM = 2;
const BIG_ENDIAN = 4;

// ---- TextEncoder ----

// [units read, bytes written] by utf8EncodeInto.
const counts = new Uint32Array(2);

export class TextEncoder {
	#brand;

	get encoding() {
		return #brand in this ? 'utf-8' : illegalInvocation();
	}
	encode(input = '') {
		if (!(#brand in this)) illegalInvocation();
		return utf8Encode(`${input}`);
	}
	encodeInto(source, destination) {
		if (!(#brand in this)) illegalInvocation();
		requireArguments(arguments.length, 2, 'TextEncoder.encodeInto');
		source = `${source}`;
		if (!isUint8Array(destination))
			throw codedError(
				TypeError,
				'ERR_INVALID_ARG_TYPE',
				'The "dest" argument must be an instance of Uint8Array',
			);
		utf8EncodeInto(source, destination, counts);
		return { read: counts[0], written: counts[1] };
	}
	[inspectCustom](depth, options, inspect) {
		if (typeof depth === 'number' && depth < 0) return this;
		const shown = { __proto__: { constructor: TextEncoder } };
		shown.encoding = this.encoding;
		return inspect(shown, options);
	}
}
defineInterface(TextEncoder, 'TextEncoder');

// ---- labels ----

const asciiWhitespace = /^[\t\n\f\r ]*([^\t\n\f\r ](?:.*[^\t\n\f\r ])?)[\t\n\f\r ]*$/s;

function toName(label) {
	if (label === 'utf-8' || label === 'utf8') return 'utf-8';
	const match = RegExpPrototypeExec(asciiWhitespace, label);
	const name =
		match === null ? undefined : encodingName(StringPrototypeToLowerCase(match[1]));
	if (name === undefined || name === 'replacement')
		throw codedError(
			RangeError,
			'ERR_ENCODING_NOT_SUPPORTED',
			`The "${label}" encoding is not supported`,
		);
	return name;
}

function makeLegacyDecoder(name, fatal) {
	switch (name) {
		case 'big5':
		case 'euc-jp':
		case 'euc-kr':
		case 'gb18030':
		case 'gbk':
		case 'iso-2022-jp':
		case 'shift_jis':
			return createMultibyteDecoder(name, !fatal);
		default:
			return createSinglebyteDecoder(name, !fatal);
	}
}

// ---- the ends of chunks ----

// How many bytes at the end of BYTES are the beginning of a UTF-8 sequence that more
// bytes could complete: 0 to 3.
function utf8Unfinished(bytes) {
	const length = TypedArrayPrototypeGetLength(bytes);
	for (let back = 1; back <= 3 && back <= length; back++) {
		const lead = bytes[length - back];
		if (lead < 0x80) return 0;
		if (lead < 0xc0) continue;
		const needed = lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
		if (lead < 0xc2 || lead > 0xf4 || back >= needed) return 0;
		if (back === 1) return 1;
		const second = bytes[length - back + 1];
		const least = lead === 0xe0 ? 0xa0 : lead === 0xf0 ? 0x90 : 0x80;
		const most = lead === 0xed ? 0x9f : lead === 0xf4 ? 0x8f : 0xbf;
		return second >= least && second <= most ? back : 0;
	}
	return 0;
}

// The same for UTF-16: half a unit, a lead surrogate, or both.
function utf16Unfinished(bytes, bigEndian) {
	const length = TypedArrayPrototypeGetLength(bytes);
	const odd = length % 2;
	if (length < 2) return odd;
	const high = bytes[length - odd - (bigEndian ? 2 : 1)];
	return high >= 0xd8 && high <= 0xdb ? odd + 2 : odd;
}

function join(first, second) {
	const offset = TypedArrayPrototypeGetLength(first);
	const bytes = new Uint8Array(offset + TypedArrayPrototypeGetLength(second));
	TypedArrayPrototypeSet(bytes, first);
	TypedArrayPrototypeSet(bytes, second, offset);
	return bytes;
}

// ---- TextDecoder ----

const noBytes = new Uint8Array(0);

let decodeChunk;

export class TextDecoder {
	#name;
	#flags; // of the native decoders
	#ignoreBOM;
	#streaming = false; // the standard's "do not flush"
	#bomSeen = false;
	#pending; // bytes at the end of the last chunk
	#legacy;

	constructor(label = 'utf-8', options = undefined) {
		label = `${label}`;
		const name = toName(label);
		const dictionary = toDictionary(options, 'TextDecoder constructor');
		this.#flags = dictionary.fatal ? FATAL : 0;
		this.#ignoreBOM = !!dictionary.ignoreBOM;
		this.#name = name;
		if (name === 'utf-16be') this.#flags |= BIG_ENDIAN;
		if (name !== 'utf-8' && name !== 'utf-16le' && name !== 'utf-16be')
			this.#legacy = makeLegacyDecoder(name, (this.#flags & FATAL) !== 0);
	}
	get encoding() {
		return #name in this ? this.#name : illegalInvocation();
	}
	get fatal() {
		return #name in this ? (this.#flags & FATAL) !== 0 : illegalInvocation();
	}
	get ignoreBOM() {
		return #name in this ? this.#ignoreBOM : illegalInvocation();
	}
	decode(input = undefined, options = undefined) {
		if (!(#name in this)) illegalInvocation();
		if (options === undefined && !this.#streaming && this.#name === 'utf-8') {
			const flags = this.#ignoreBOM ? this.#flags : this.#flags | STRIP_BOM;
			return input === undefined ? '' : utf8Decode(input, flags);
		}
		const bytes = input === undefined ? noBytes : bytesOf(input);
		return this.#decode(bytes, !!toDictionary(options, 'TextDecoder.decode').stream);
	}
	#decode(bytes, stream) {
		if (!this.#streaming) {
			this.#pending = undefined;
			this.#bomSeen = false;
		}
		this.#streaming = stream;
		if (this.#legacy !== undefined) {
			try {
				return this.#legacy(bytes, stream);
			} catch (error) {
				throw this.#invalid(error);
			}
		}
		if (this.#pending !== undefined) {
			bytes = join(this.#pending, bytes);
			this.#pending = undefined;
		}
		const isUtf8 = this.#name === 'utf-8';
		if (stream) {
			const held = isUtf8
				? utf8Unfinished(bytes)
				: utf16Unfinished(bytes, (this.#flags & BIG_ENDIAN) !== 0);
			if (held > 0) {
				const at = TypedArrayPrototypeGetLength(bytes) - held;
				this.#pending = TypedArrayPrototypeSlice(bytes, at);
				bytes = TypedArrayPrototypeSubarray(bytes, 0, at);
			}
		}
		const text = isUtf8 ? utf8Decode(bytes, this.#flags) : utf16Decode(bytes, this.#flags);
		if (this.#ignoreBOM || this.#bomSeen || text === '') return text;
		this.#bomSeen = true;
		return StringPrototypeCharCodeAt(text, 0) === 0xfeff ? StringPrototypeSlice(text, 1) : text;
	}
	#invalid(cause) {
		const error = codedError(
			TypeError,
			'ERR_ENCODING_INVALID_ENCODED_DATA',
			`The encoded data was not valid for encoding ${this.#name}`,
		);
		return FunctionPrototypeSymbolHasInstance(TypeError, cause) ? error : cause;
	}
	[inspectCustom](depth, options, inspect) {
		if (typeof depth === 'number' && depth < 0) return this;
		const shown = { __proto__: { constructor: TextDecoder } };
		shown.encoding = this.encoding;
		shown.fatal = this.fatal;
		shown.ignoreBOM = this.ignoreBOM;
		return inspect(shown, options);
	}
	static {
		decodeChunk = (decoder, bytes, stream) => decoder.#decode(bytes, stream);
	}
}
defineInterface(TextDecoder, 'TextDecoder');

// ---- streams ----

function isLead(unit) {
	return unit >= 0xd800 && unit <= 0xdbff;
}

export class TextEncoderStream {
	#stream;

	constructor() {
		let lead = ''; // a lead surrogate at the end of the last chunk
		this.#stream = createTransformStream({
			transform(chunk, controller) {
				let text = lead + String(`${chunk}`);
				lead = '';
				const last = text.length - 1;
				if (last >= 0 && isLead(StringPrototypeCharCodeAt(text, last))) {
					lead = text[last];
					text = StringPrototypeSlice(text, 0, last);
				}
				if (text !== '') transformEnqueue(controller, utf8Encode(text));
			},
			flush(controller) {
				if (lead !== '') transformEnqueue(controller, utf8Encode(lead));
			},
		});
	}
	get encoding() {
		return #stream in this ? 'utf-8' : illegalInvocation();
	}
	get readable() {
		return #stream in this ? this.#stream.readable : illegalInvocation();
	}
	get writable() {
		return #stream in this ? this.#stream.writable : illegalInvocation();
	}
}
defineInterface(TextEncoderStream, 'TextEncoderStream');

export class TextDecoderStream {
	#decoder;
	#stream;

	constructor(label = 'utf-8', options = undefined) {
		const decoder = new TextDecoder(label, options);
		this.#decoder = decoder;
		const decodeTo = (controller, bytes, stream) => {
			const text = decodeChunk(decoder, bytes, stream);
			if (text !== '') transformEnqueue(controller, text);
		};
		this.#stream = createTransformStream({
			transform: (chunk, controller) => decodeTo(controller, bytesOf(chunk), true),
			flush: (controller) => decodeTo(controller, noBytes, false),
		});
	}
	get encoding() {
		return #decoder in this ? this.#decoder.encoding : illegalInvocation();
	}
	get fatal() {
		return #decoder in this ? this.#decoder.fatal : illegalInvocation();
	}
	get ignoreBOM() {
		return #decoder in this ? this.#decoder.ignoreBOM : illegalInvocation();
	}
	get readable() {
		return #stream in this ? this.#stream.readable : illegalInvocation();
	}
	get writable() {
		return #stream in this ? this.#stream.writable : illegalInvocation();
	}
}
defineInterface(TextDecoderStream, 'TextDecoderStream');

// ---- for the library ----

export const encodeUtf8 = utf8Encode; // string -> Uint8Array
// Bytes (any BufferSource) -> string, as "UTF-8 decode": lossy, without BOM.
export function decodeUtf8(bytes) {
	return utf8Decode(bytes, STRIP_BOM);
}
// The same with the BOM, if there is one, kept as U+FEFF.
export function decodeUtf8KeepBom(bytes) {
	return utf8Decode(bytes, 0);
}
