// node:fs and node:fs/promises: Node's own code (upstream/fs.js), but reading, writing and
// removing as a whole, which are one request each here.

import './fs_binding.js';
import fs from './upstream/fs.js';
import internalPromises from './upstream/internal/fs/promises.js';
import utils from './upstream/internal/fs/utils.js';
import validators from './upstream/internal/validators.js';
import bufferModule from './upstream/buffer.js';
import types from './upstream/internal/util/types.js';
import { AbortError, systemError } from './errors.js';
import { fsBinding, readWhole, readWholeSync, writeWhole } from './fs_binding.js';
import { copyFolder, checkCopy, replaceFile } from './fs_copy.js';
import { process } from './process_object.js';
import { registerBuiltin } from './registry.js';
import { makeBlob } from '../blob.js';
import { addAbortAlgorithm } from '../abort.js';
import { Error, PromiseReject, PromiseWithResolvers, ReflectApply, Uint8Array } from '../primordials.js';

const { promises } = fs;
const { Buffer } = bufferModule;
const { getOptions, getValidatedPath, stringToFlags } = utils;
const { validateAbortSignal, validateFunction, validateObject, validateString, parseFileMode } = validators;
const { isArrayBufferView } = types;
const { FileHandle } = internalPromises;
const isDescriptor = (path) => typeof path === 'number' && path === path >>> 0 && path <= 0x7fffffff;

fsBinding.cpSyncCheckPaths = checkCopy;
fsBinding.cpSyncCopyDir = copyFolder;
fsBinding.cpSyncOverrideFile = replaceFile;

// ---- the whole of a file ----

function abortError(signal) {
	return new AbortError(undefined, { cause: signal.reason });
}

// Starts BEGIN(finish), which returns what cancels it. An aborted request answers at once.
function withSignal(signal, finish, begin) {
	if (signal === undefined || signal === null) {
		begin(finish);
		return;
	}
	let answered = false;
	let forget;
	const cancel = begin((error, value) => {
		forget();
		if (!answered) finish(error, value);
	});
	forget = addAbortAlgorithm(signal, () => {
		answered = true;
		cancel();
		finish(abortError(signal));
	});
}

// What upstream must do: options that we do not know.
const isPlainRead = (path, options) =>
	options.buffer === undefined && !(path instanceof FileHandle) && !isDescriptor(path);

const original = {
	__proto__: null,
	readFile: fs.readFile,
	readFileSync: fs.readFileSync,
	writeFile: fs.writeFile,
	promisesReadFile: promises.readFile,
	promisesWriteFile: promises.writeFile,
};

const promiseOf = (begin) => {
	const { promise, resolve, reject } = PromiseWithResolvers();
	begin((error, value) => (error ? reject(error) : resolve(value)));
	return promise;
};

const isPlainWrite = (path, data, options) =>
	!options.flush &&
	!(path instanceof FileHandle) &&
	!isDescriptor(path) &&
	(typeof data === 'string' || isArrayBufferView(data));

const writeDefaults = { __proto__: null, encoding: 'utf8', mode: 0o666, flag: 'w', flush: false };

function dataOf(data, encoding) {
	if (typeof data !== 'string' || encoding === 'utf8' || encoding === 'utf-8' || !encoding)
		return data;
	return Buffer.from(data, encoding);
}

function checkAborted(signal) {
	if (signal === undefined || signal === null) return undefined;
	validateAbortSignal(signal, 'options.signal');
	return signal.aborted ? abortError(signal) : undefined;
}

const callbackForms = {
	readFile(path, options, callback) {
		callback ||= options;
		validateFunction(callback, 'cb');
		options = getOptions(options, { flag: 'r' });
		if (!isPlainRead(path, options)) return original.readFile(path, options, callback);
		const aborted = checkAborted(options.signal);
		if (aborted) return process.nextTick(callback, aborted);
		const flags = stringToFlags(options.flag, 'options.flag');
		path = getValidatedPath(path);
		withSignal(
			options.signal,
			(error, value) => (error ? callback(error) : callback(null, value)),
			(finish) => readWhole(path, flags, options.encoding, finish),
		);
	},
	readFileSync(path, options) {
		options = getOptions(options, { flag: 'r' });
		if (!isPlainRead(path, options)) return original.readFileSync(path, options);
		return readWholeSync(getValidatedPath(path), stringToFlags(options.flag), options.encoding);
	},
	writeFile(path, data, options, callback) {
		callback ||= options;
		validateFunction(callback, 'cb');
		options = getOptions(options, writeDefaults);
		if (!isPlainWrite(path, data, options))
			return original.writeFile(path, data, options, callback);
		const aborted = checkAborted(options.signal);
		if (aborted) return process.nextTick(callback, aborted);
		const flags = stringToFlags(options.flag || 'w');
		const mode = parseFileMode(options.mode, 'mode', 0o666);
		path = getValidatedPath(path);
		data = dataOf(data, options.encoding);
		withSignal(
			options.signal,
			(error) => callback(error),
			(finish) => writeWhole(path, data, flags, mode, finish),
		);
	},
};

const promiseForms = {
	async readFile(path, options) {
		options = getOptions(options, { flag: 'r' });
		if (!isPlainRead(path, options)) return original.promisesReadFile(path, options);
		const aborted = checkAborted(options.signal);
		if (aborted) throw aborted;
		const flags = stringToFlags(options.flag);
		path = getValidatedPath(path);
		return promiseOf((done) =>
			withSignal(options.signal, done, (finish) =>
				readWhole(path, flags, options.encoding, finish),
			),
		);
	},
	async writeFile(path, data, options) {
		options = getOptions(options, writeDefaults);
		if (!isPlainWrite(path, data, options))
			return original.promisesWriteFile(path, data, options);
		const aborted = checkAborted(options.signal);
		if (aborted) throw aborted;
		const flags = stringToFlags(options.flag || 'w');
		const mode = parseFileMode(options.mode, 'mode', 0o666);
		path = getValidatedPath(path);
		data = dataOf(data, options.encoding);
		return promiseOf((done) =>
			withSignal(options.signal, done, (finish) => writeWhole(path, data, flags, mode, finish)),
		);
	},
	async appendFile(path, data, options) {
		options = getOptions(options, { encoding: 'utf8', mode: 0o666, flag: 'a', flush: false });
		return promiseForms.writeFile(path, data, { ...options, flag: options.flag || 'a' });
	},
};

// Node reads such a blob when it is asked for; here it is read now, once.
function openAsBlob(path, options = {}) {
	validateObject(options, 'options');
	const type = options.type || '';
	validateString(type, 'options.type');
	path = getValidatedPath(path);
	return promiseOf((done) =>
		readWhole(path, 0, undefined, (error, buffer) =>
			error
				? done(error)
				: done(null, makeBlob(new Uint8Array(buffer.buffer, 0, buffer.length), type)),
		),
	);
}

function replace(target, functions) {
	const names = Object.keys(functions);
	for (let i = 0; i < names.length; i++) {
		const name = names[i];
		Object.defineProperty(target, name, {
			__proto__: null,
			value: functions[name],
			writable: true,
			enumerable: true,
			configurable: true,
		});
	}
}
replace(fs, callbackForms);
replace(fs, { openAsBlob });
replace(promises, promiseForms);

// A handle that was closed names the operation by its function in upstream's file, which
// the bundler may have renamed.
const handleCalls = {
	__proto__: null,
	appendFile: 'writeFile',
	chmod: 'fchmod',
	chown: 'fchown',
	datasync: 'fdatasync',
	read: 'read',
	readFile: 'readFile',
	readv: 'readv',
	stat: 'fstat',
	sync: 'fsync',
	truncate: 'ftruncate',
	utimes: 'futimes',
	write: 'write',
	writeFile: 'writeFile',
	writev: 'writev',
};
function closedError(syscall) {
	const error = new Error('file closed');
	error.code = 'EBADF';
	error.syscall = syscall;
	return error;
}
const handleMethods = Object.keys(handleCalls);
for (let i = 0; i < handleMethods.length; i++) {
	const name = handleMethods[i];
	const method = FileHandle.prototype[name];
	const { [name]: checked } = {
		[name](...args) {
			if (this.fd === -1) return PromiseReject(closedError(handleCalls[name]));
			return ReflectApply(method, this, args);
		},
	};
	FileHandle.prototype[name] = Object.defineProperty(checked, 'length', {
		__proto__: null,
		value: method.length,
	});
}

// ---- the current folder ----

process.cwd = function cwd() {
	return native.fsFolder();
};
process.chdir = function chdir(directory) {
	validateString(directory, 'directory');
	const result = native.fsChangeFolder(directory);
	if (result < 0) throw systemError(result, 'chdir', native.fsFolder(), directory);
};

registerBuiltin('fs', () => fs);
registerBuiltin('fs/promises', () => promises);
