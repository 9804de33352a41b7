// internalBinding(name): what Node's C++ part offers to the files in upstream/, as far as
// they use it, on our natives.

import { currentContext, setContext } from '../async_context.js';
import { DOMException } from '../errors.js';
import { getOwnNonIndexProperties } from '../inspect/names.js';
import { previewEntries } from '../inspect/collections.js';
import { getProxyDetails } from '../inspect/value.js';
import { native } from '../native.js';
import {
	ArrayPrototypeMap,
	ArrayPrototypeSlice,
	Error,
	MapPrototypeSet,
	Map,
	ObjectDefineProperty,
	ObjectKeys,
	StringPrototypeToWellFormed,
	Symbol,
} from '../primordials.js';
import { triggerUncaughtException } from '../uncaught.js';
import { untransferable } from '../untransferable.js';
import { bufferBinding } from './buffer_binding.js';
import { performanceBinding } from './performance_binding.js';
import { blockListBinding, canonicalizeIP } from './net/addresses.js';
import { cryptoBinding } from './tls/binding.js';
import { decode, fields, flush } from './string_decoder_binding.js';
import { constants as zlibConstants } from './zlib_constants.js';

// ---- types ----

const { kind } = native;
const isKind = (name) => (value) => kind(value) === name;

const boxes = { __proto__: null, Number: true, String: true, Boolean: true, BigInt: true, Symbol: true };

const types = {
	isExternal: isKind('External'),
	isDate: isKind('Date'),
	isArgumentsObject: isKind('Arguments'),
	isBigIntObject: isKind('BigInt'),
	isBooleanObject: isKind('Boolean'),
	isNumberObject: isKind('Number'),
	isStringObject: isKind('String'),
	isSymbolObject: isKind('Symbol'),
	isBoxedPrimitive: (value) => boxes[kind(value)] === true,
	isNativeError: isKind('Error'),
	isRegExp: isKind('RegExp'),
	isAsyncFunction(value) {
		const name = kind(value);
		return name === 'AsyncFunction' || name === 'AsyncGeneratorFunction';
	},
	isGeneratorFunction(value) {
		const name = kind(value);
		return name === 'GeneratorFunction' || name === 'AsyncGeneratorFunction';
	},
	isGeneratorObject: isKind('Generator'),
	isPromise: isKind('Promise'),
	isMap: isKind('Map'),
	isSet: isKind('Set'),
	isMapIterator: isKind('Map Iterator'),
	isSetIterator: isKind('Set Iterator'),
	isWeakMap: isKind('WeakMap'),
	isWeakSet: isKind('WeakSet'),
	isArrayBuffer: isKind('ArrayBuffer'),
	isDataView: isKind('DataView'),
	isSharedArrayBuffer: isKind('SharedArrayBuffer'),
	isProxy: isKind('Proxy'),
	isModuleNamespaceObject: isKind('Module'),
	isAnyArrayBuffer(value) {
		const name = kind(value);
		return name === 'ArrayBuffer' || name === 'SharedArrayBuffer';
	},
};
const typeNames = ObjectKeys(types);
for (let i = 0; i < typeNames.length; i++)
	ObjectDefineProperty(types[typeNames[i]], 'name', { __proto__: null, value: typeNames[i] });

// ---- util ----

// Modules that upstream files load when somebody first reads a property; index.js fills
// this in when all of them exist.
const lazy = { __proto__: null };
export function registerLazy(id, exports) {
	lazy[id] = exports;
}

function defineLazyProperties(target, id, keys, enumerable = true) {
	for (let i = 0; i < keys.length; i++) {
		const key = keys[i];
		const define = (object, value) =>
			ObjectDefineProperty(object, key, {
				__proto__: null,
				value,
				writable: true,
				enumerable,
				configurable: true,
			});
		ObjectDefineProperty(target, key, {
			__proto__: null,
			get() {
				const value = lazy[id]?.()[key];
				define(this, value);
				return value;
			},
			set(value) {
				define(this, value);
			},
			enumerable,
			configurable: true,
		});
	}
}

// `new value()` of a Proxy whose target is what we ask about runs nothing of it.
function isConstructor(value) {
	try {
		Reflect.construct(Object, [], value);
		return true;
	} catch {
		return false;
	}
}

// COUNT frames of the stack, without the two that are ours.
function getCallSites(count) {
	const { prepareStackTrace, stackTraceLimit } = Error;
	try {
		Error.prepareStackTrace = (error, sites) => sites;
		Error.stackTraceLimit = count + 2;
		return ArrayPrototypeMap(ArrayPrototypeSlice(new Error().stack, 2), (site) => ({
			functionName: site.getFunctionName() ?? '',
			scriptId: `${site.getScriptHash?.() ?? ''}`,
			scriptName: site.getScriptNameOrSourceURL() ?? '',
			lineNumber: site.getLineNumber(),
			columnNumber: site.getColumnNumber(),
			column: site.getColumnNumber(),
		}));
	} finally {
		Error.stackTraceLimit = stackTraceLimit;
		Error.prepareStackTrace = prepareStackTrace;
	}
}

// Where the caller of the function was called that asks: [line, column, file].
function getCallerLocation() {
	const { 1: site } = getCallSites(2);
	return site === undefined ? undefined : [site.lineNumber, site.columnNumber, site.scriptName];
}

const privateSymbol = native.privateSymbol;

const util = {
	constants: {
		kPending: 0,
		kFulfilled: 1,
		kRejected: 2,
		kExiting: 0,
		kExitCode: 1,
		kHasExitCode: 2,
		ALL_PROPERTIES: 0,
		ONLY_WRITABLE: 1,
		ONLY_ENUMERABLE: 2,
		ONLY_CONFIGURABLE: 4,
		SKIP_STRINGS: 8,
		SKIP_SYMBOLS: 16,
		kDisallowCloneAndTransfer: 0,
		kTransferable: 1,
		kCloneable: 2,
	},
	constructSharedArrayBuffer: (size) => new globalThis.SharedArrayBuffer(size),
	defineLazyProperties,
	getCallerLocation,
	getCallSites,
	getOwnNonIndexProperties: (object, filter) => getOwnNonIndexProperties(object, filter === 0),
	getProxyDetails,
	guessHandleType: (fd) => native.handleType(fd),
	isArrayBufferDetached: (buffer) => buffer.detached,
	isConstructor,
	isInsideNodeModules: () => false,
	parseEnv: (text) => parseEnv(text),
	previewEntries: (iterator, isIterator) => (isIterator ? previewEntries(iterator) : previewEntries(iterator)[0]),
	privateSymbols: {
		arrow_message_private_symbol: privateSymbol('arrowMessage'),
		decorated_private_symbol: privateSymbol('decorated'),
		untransferable_object_private_symbol: untransferable,
	},
	toUSVString: (text) => StringPrototypeToWellFormed(`${text}`),
};

// The format of .env files, as Node reads them.
const LINE =
	/^\s*(?:export\s+)?([\w.-]+)(?:\s*=\s*?|:\s+?)(\s*'(?:\\'|[^'])*'|\s*"(?:\\"|[^"])*"|\s*`(?:\\`|[^`])*`|[^#\r\n]+)?\s*(?:#.*)?$/gm;
function parseEnv(text) {
	const result = {};
	for (const match of text.replace(/\r\n?/g, '\n').matchAll(LINE)) {
		let value = (match[2] ?? '').trim();
		const quote = value[0];
		value = value.replace(/^(['"`])([\s\S]*)\1$/m, '$2');
		if (quote === '"') value = value.replaceAll('\\n', '\n');
		result[match[1]] = value;
	}
	return result;
}

// ---- numbers and names of the system ----

const [errorList, constants] = native.systemConstants();

function getErrorMap() {
	const map = new Map();
	for (let i = 0; i < errorList.length; i++)
		MapPrototypeSet(map, errorList[i][0], [errorList[i][1], errorList[i][2]]);
	return map;
}

const uv = {
	errname(number) {
		for (let i = 0; i < errorList.length; i++)
			if (errorList[i][0] === number) return errorList[i][1];
		return `Unknown system error ${number}`;
	},
	getErrorMap,
	getErrorMessage(number) {
		for (let i = 0; i < errorList.length; i++)
			if (errorList[i][0] === number) return errorList[i][2];
		return `Unknown system error ${number}`;
	},
};
for (let i = 0; i < errorList.length; i++) uv[`UV_${errorList[i][1]}`] = errorList[i][0];

// ---- all of them ----

const bindings = {
	__proto__: null,
	async_context_frame: {
		getContinuationPreservedEmbedderData: currentContext,
		setContinuationPreservedEmbedderData: setContext,
	},
	block_list: blockListBinding,
	buffer: bufferBinding,
	performance: performanceBinding,
	cares_wrap: { canonicalizeIP },
	config: { hasIntl: true, hasInspector: false, hasOpenSSL: false },
	constants: { os: constants, zlib: zlibConstants, trace: {} },
	crypto: cryptoBinding,
	// No channel is known to C.
	diagnostics_channel: { linkNativeChannel() {}, subscribers: [] },
	encoding_binding: {
		// The flags are those of isolate/native_text.c.
		decodeUTF8: (bytes, ignoreBOM, fatal) =>
			native.utf8Decode(bytes, (fatal ? 1 : 0) | (ignoreBOM ? 0 : 2)),
		encodeUtf8String: (text) => native.utf8Encode(text),
		toASCII: native.domainToASCII,
		toUnicode: native.domainToUnicode,
	},
	errors: {
		exitCodes: { kNoFailure: 0, kGenericUserError: 1 },
		noSideEffectsToString: (value) => `${value}`,
		triggerUncaughtException,
	},
	icu: {
		icuErrName: () => 'U_ILLEGAL_ARGUMENT_ERROR',
		transcode: bufferBinding.transcode,
	},
	messaging: { DOMException },
	symbols: { owner_symbol: Symbol('owner_symbol') },
	stream_wrap: { streamBaseState: [], kReadBytesOrError: 0, kLastWriteWasAsync: 1 },
	string_decoder: { ...fields, decode, flush },
	trace_events: { getCategoryEnabledBuffer: () => [0], trace() {} },
	types,
	url: {},
	url_pattern: {},
	util,
	uv,
};

export function internalBinding(name) {
	const binding = bindings[name];
	if (binding === undefined) throw new Error(`No such binding: ${name}`);
	return binding;
}

// From the file that offers it (fs_binding.js, …), before upstream files ask for it.
export function registerBinding(name, binding) {
	bindings[name] = binding;
}
