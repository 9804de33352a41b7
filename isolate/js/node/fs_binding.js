// internalBinding('fs'), 'fs_dir' and 'fs_event_wrap': what upstream/fs.js and its
// relatives call, on isolate/native_fs.c.
//
// Each operation has three forms, told apart by its last argument: none is synchronous and
// throws; kUsePromises returns a promise; an FSReqCallback gets (error, result).

import internalBuffer from './upstream/internal/buffer.js';
import bufferModule from './upstream/buffer.js';
import { codes, systemError } from './errors.js';
import { internalBinding, registerBinding, registerLazy } from './binding.js';
import { process } from './process_object.js';
import { hooks } from '../hooks.js';
import { fileAccessDenied } from '../permission.js';
import { enqueueTick } from '../ticks.js';
import {
	ArrayBuffer,
	BigInt64Array,
	Float64Array,
	ObjectFreeze,
	PromiseReject,
	PromiseWithResolvers,
	Symbol,
	TypedArrayPrototypeGetBuffer,
	TypedArrayPrototypeGetByteLength,
	TypedArrayPrototypeSlice,
	uncurryThis,
} from '../primordials.js';

const { FastBuffer } = internalBuffer;
const { Buffer } = bufferModule;
const bufferToString = uncurryThis(Buffer.prototype.toString);

// ---- shared with C ----

const REQUESTS_MAX = 2048;
const FIELDS = 18; // of one stat
const ERROR = 40;
const OTHER_ERROR = 1;
const WANT_BYTES = 1;
const WANT_BIGINT = 2;

const frame = new Float64Array(new ArrayBuffer(64 * 8));
const bigFrame = new BigInt64Array(TypedArrayPrototypeGetBuffer(frame));
hooks.fsFrame = frame;

const op = { __proto__: null };
const names = native.fsOperations();
for (let i = 0; i < names.length; i++)
	op[names[i][0]] = ObjectFreeze({ __proto__: null, number: i, name: names[i][1] });

const constants = { __proto__: null };
const constantList = native.fsConstants();
for (let i = 0; i < constantList.length; i++) constants[constantList[i][0]] = constantList[i][1];
internalBinding('constants').fs = ObjectFreeze(constants);

// ---- errors ----

function textOf(path) {
	return typeof path === 'string' || path === undefined ? path : bufferToString(path);
}

// What the operation failed with. DETAILS come from C; undefined: nothing special.
function failure(errno, details, operation, path, dest) {
	let { name } = operation;
	path = textOf(path);
	if (details !== undefined) {
		name = details[0] ?? name;
		if (details[2] !== undefined) {
			const error = fileAccessDenied(details[2], details[3]);
			error.errno = errno;
			error.syscall = name;
			if (path !== undefined) error.path = path;
			return error;
		}
		if (operation.number === op.readFile.number && name === 'read' && isTooLarge(errno))
			return new codes.ERR_FS_FILE_TOO_LARGE(details[4]);
		if (details[1] === null) path = dest = undefined;
		else path = details[1] ?? path;
	}
	return systemError(errno, name, path, textOf(dest));
}

const isTooLarge = (errno) => errno === -27; // EFBIG

// ---- requests ----

export const kUsePromises = Symbol('fs_use_promises_symbol');

export class FSReqCallback {
	oncomplete = undefined;
	context = undefined;
	constructor(bigint) {
		this.bigint = bigint;
	}
}

// What the thread pool works at, by slot; and those for which there is no slot yet.
const pending = [];
const freeSlots = [];
let waiting = [];
let waitingHead = 0;

class Pending {
	constructor(finish, convert, operation, path, dest, context) {
		this.finish = finish;
		this.convert = convert;
		this.operation = operation;
		this.path = path;
		this.dest = dest;
		this.context = context; // of AsyncLocalStorage
		this.start = undefined;
		this.slot = -1;
	}
}

function takeSlot() {
	if (freeSlots.length > 0) {
		const slot = freeSlots[freeSlots.length - 1];
		freeSlots.length--;
		return slot;
	}
	if (pending.length >= REQUESTS_MAX) return -1;
	pending[pending.length] = undefined;
	return pending.length - 1;
}

function startWaiting() {
	while (waitingHead < waiting.length) {
		const slot = takeSlot();
		if (slot < 0) return;
		const entry = waiting[waitingHead];
		waiting[waitingHead++] = undefined;
		begin(entry, slot);
	}
	waiting.length = 0;
	waitingHead = 0;
}

// Gives ENTRY to the thread pool. What cannot even begin fails later, as everything does.
function begin(entry, slot) {
	pending[slot] = entry;
	entry.slot = slot;
	const details = entry.start(slot);
	entry.start = undefined;
	if (frame[ERROR] === 0) return;
	const errno = frame[ERROR];
	enqueueTick(settle, [slot, errno, details]);
}

function settle(slot, errno, value) {
	const entry = pending[slot];
	pending[slot] = undefined;
	freeSlots[freeSlots.length] = slot;
	let error = null;
	let result;
	if (errno === 0) {
		try {
			result = entry.convert(value);
		} catch (thrown) {
			error = thrown;
		}
	} else {
		error =
			errno === OTHER_ERROR
				? value
				: failure(errno, value, entry.operation, entry.path, entry.dest);
	}
	if (waiting.length > 0) startWaiting();
	const before = native.getAsyncContext();
	native.setAsyncContext(entry.context);
	try {
		entry.finish(error, result);
	} finally {
		native.setAsyncContext(before);
	}
}

hooks.fsDone = (slot, value) => settle(slot, frame[ERROR], value);

const same = (value) => value;

// START(slot) calls the native. SLOT of -1 is synchronous.
function perform(request, operation, start, convert, path, dest) {
	if (request === undefined) {
		const value = start(-1);
		if (frame[ERROR] !== 0) throw failure(frame[ERROR], value, operation, path, dest);
		return convert(value);
	}
	let result;
	let finish;
	if (request === kUsePromises) {
		const { promise, resolve, reject } = PromiseWithResolvers();
		result = promise;
		finish = (error, value) => (error === null ? resolve(value) : reject(error));
	} else {
		finish = (error, value) => {
			if (error !== null) request.oncomplete(error);
			else if (value === undefined) request.oncomplete(null);
			else request.oncomplete(null, value);
		};
	}
	submit(finish, operation, start, convert, path, dest);
	return result;
}

function submit(finish, operation, start, convert, path, dest) {
	const entry = new Pending(finish, convert, operation, path, dest, native.getAsyncContext());
	entry.start = start;
	const slot = waiting.length > 0 ? -1 : takeSlot();
	if (slot < 0) waiting[waiting.length] = entry;
	else begin(entry, slot);
	return entry;
}

// Ends a request early: it finishes with ECANCELED, unless it is done before.
function cancel(entry) {
	if (entry.slot >= 0 && pending[entry.slot] === entry) native.fsCancel(entry.slot);
}

const call = native.fsCall;

// ---- conversions ----

const isText = (encoding) =>
	encoding === undefined || encoding === null || encoding === 'utf8' || encoding === 'utf-8';

export function toBuffer(bytes) {
	return new FastBuffer(
		TypedArrayPrototypeGetBuffer(bytes),
		0,
		TypedArrayPrototypeGetByteLength(bytes),
	);
}

// A name as ENCODING wants it; C gives text for the usual one.
function nameConverter(encoding) {
	if (isText(encoding)) return same;
	if (encoding === 'buffer') return (name) => (name === undefined ? name : toBuffer(name));
	return (name) => (name === undefined ? name : bufferToString(toBuffer(name), encoding));
}

const wantName = (encoding) => (isText(encoding) ? 0 : WANT_BYTES);

// The numbers in the frame are good until the next call: who looks later needs a copy.
const statNumbers = () => TypedArrayPrototypeSlice(frame, 0, FIELDS);
const statBigints = () => TypedArrayPrototypeSlice(bigFrame, 0, FIELDS);

// [name, type, …] as [names] or [names, types].
function splitEntries(list, encoding, types) {
	const convert = nameConverter(encoding);
	const first = [];
	const second = [];
	for (let i = 0; i < list.length; i += 2) {
		first[i / 2] = convert(list[i]);
		second[i / 2] = list[i + 1];
	}
	return types ? [first, second] : first;
}

// ---- descriptors ----

function onPath(operation) {
	return (path, request) =>
		perform(request, operation, (slot) => call(operation.number, slot, 0, path), same, path);
}

function onPathAndNumber(operation) {
	return (path, number, request) =>
		perform(
			request,
			operation,
			(slot) => call(operation.number, slot, 0, path, number),
			same,
			path,
		);
}

function onPathAndTwo(operation) {
	return (path, a, b, request) =>
		perform(request, operation, (slot) => call(operation.number, slot, 0, path, a, b), same, path);
}

// Node's C++ part checks the numbers that its JavaScript part does not.
function checkFd(fd) {
	return require('internal/fs/utils').getValidatedFd(fd);
}

function onFd(operation) {
	return (fd, request) => {
		fd = checkFd(fd);
		return perform(request, operation, (slot) => call(operation.number, slot, 0, fd), same);
	};
}

function onFdAndTwo(operation) {
	return (fd, a, b, request) =>
		perform(request, operation, (slot) => call(operation.number, slot, 0, fd, a, b), same);
}

function open(path, flags, mode, request) {
	return perform(request, op.open, (slot) => call(op.open.number, slot, 0, path, flags, mode), same, path);
}

const close = onFd(op.close);

// Descriptors whose handle was collected.
let collected;
function watchHandle(handle, state) {
	collected ??= new FinalizationRegistry((lost) => {
		if (lost.fd < 0) return;
		call(op.close.number, -1, 0, lost.fd);
		process.emitWarning(
			`Closing file descriptor ${lost.fd} on garbage collection: close FileHandle objects`,
			'DeprecationWarning',
			'DEP0137',
		);
	});
	collected.register(handle, state);
}

export class FileHandle {
	#state;
	constructor(fd) {
		this.#state = { __proto__: null, fd };
		watchHandle(this, this.#state);
	}
	get fd() {
		return this.#state.fd;
	}
	getAsyncId() {
		return 0;
	}
	close() {
		const fd = this.releaseFD();
		return fd < 0 ? PromiseReject(systemError('EBADF', 'close')) : close(fd, kUsePromises);
	}
	closeSync() {
		const fd = this.releaseFD();
		if (fd >= 0) close(fd);
	}
	releaseFD() {
		const { fd } = this.#state;
		this.#state.fd = -1;
		return fd;
	}
}

function openFileHandle(path, flags, mode, request) {
	return perform(
		request,
		op.open,
		(slot) => call(op.open.number, slot, 0, path, flags, mode),
		(fd) => new FileHandle(fd),
		path,
	);
}

// null and -1: where the descriptor stands.
const toPosition = (position) =>
	position === null || position === undefined ? -1 : Number(position);

function transfer(operation) {
	return (fd, buffer, offset, length, position, request) =>
		perform(
			request,
			operation,
			(slot) =>
				call(operation.number, slot, 0, fd, buffer, offset, length, toPosition(position)),
			same,
		);
}

function transferAll(operation) {
	return (fd, buffers, position, request) =>
		perform(
			request,
			operation,
			(slot) => call(operation.number, slot, 0, fd, buffers, toPosition(position)),
			same,
		);
}

function writeString(fd, text, position, encoding, request) {
	const data = isText(encoding) ? text : Buffer.from(text, encoding);
	return perform(
		request,
		op.writeString,
		(slot) => call(op.writeString.number, slot, 0, fd, data, toPosition(position)),
		same,
	);
}

// ---- stat ----

function isMissing(errno) {
	return errno === -2 /* ENOENT */ || errno === -20 /* ENOTDIR */;
}

function statCall(operation, isPath) {
	return (target, bigint, request, throwIfNoEntry = true) => {
		const want = bigint ? WANT_BIGINT : 0;
		const numbers = bigint ? statBigints : statNumbers;
		const start = (slot) => call(operation.number, slot, want, target);
		if (request === undefined) {
			const value = start(-1);
			// Upstream looks at once, as at Node's own shared numbers.
			if (frame[ERROR] === 0) return bigint ? bigFrame : frame;
			if (!throwIfNoEntry && isMissing(frame[ERROR])) return undefined;
			throw failure(frame[ERROR], value, operation, isPath ? target : undefined);
		}
		if (throwIfNoEntry !== false)
			return perform(request, operation, start, numbers, isPath ? target : undefined);
		const { promise, resolve, reject } = PromiseWithResolvers();
		const finish = (error, value) => {
			const missing = error !== null && isMissing(error.errno);
			if (request === kUsePromises)
				error === null || missing ? resolve(value) : reject(error);
			else if (missing) request.oncomplete(null, undefined);
			else request.oncomplete(error, value);
		};
		submit(finish, operation, start, numbers, isPath ? target : undefined);
		return promise;
	};
}

const stat = statCall(op.stat, true);
const lstat = statCall(op.lstat, true);
const fstatAny = statCall(op.fstat, false);

// Throws even where upstream asks it not to: Node's does, too.
function fstat(fd, bigint, request) {
	return fstatAny(checkFd(fd), bigint, request);
}

function statfs(path, bigint, request) {
	return perform(
		request,
		op.statfs,
		(slot) => call(op.statfs.number, slot, bigint ? WANT_BIGINT : 0, path),
		() => TypedArrayPrototypeSlice(bigint ? bigFrame : frame, 0, 8),
		path,
	);
}

function existsSync(path) {
	call(op.access.number, -1, 0, path, 0);
	return frame[ERROR] === 0;
}

// 0: a file, 1: a folder, negative: nothing.
function internalModuleStat(path) {
	call(op.stat.number, -1, 0, path);
	if (frame[ERROR] !== 0) return frame[ERROR];
	return (frame[1] & constants.S_IFMT) === constants.S_IFDIR ? 1 : 0;
}

// ---- names ----

function named(operation) {
	return (path, encoding, request) =>
		perform(
			request,
			operation,
			(slot) => call(operation.number, slot, wantName(encoding), path),
			nameConverter(encoding),
			path,
		);
}

function mkdtemp(prefix, encoding, request) {
	return perform(
		request,
		op.mkdtemp,
		(slot) => call(op.mkdtemp.number, slot, wantName(encoding), prefix),
		nameConverter(encoding),
		`${textOf(prefix)}XXXXXX`,
	);
}

function mkdir(path, mode, recursive, request) {
	const operation = recursive ? op.makePath : op.mkdir;
	return perform(
		request,
		operation,
		(slot) => call(operation.number, slot, 0, path, mode),
		same,
		path,
	);
}

function readdir(path, encoding, withFileTypes, request) {
	return perform(
		request,
		op.scandir,
		(slot) => call(op.scandir.number, slot, wantName(encoding), path),
		(list) => splitEntries(list, encoding, withFileTypes),
		path,
	);
}

// Two paths, one of which may be a text that is nobody's path.
function twoPaths(operation) {
	return (from, to, request) =>
		perform(
			request,
			operation,
			(slot) => call(operation.number, slot, 0, from, to),
			same,
			from,
			to,
		);
}

const makeLink = twoPaths(op.symlink);
const symlink = (target, path, flags, request) => makeLink(target, path, request);

function copyFile(from, to, mode, request) {
	return perform(
		request,
		op.copyfile,
		(slot) => call(op.copyfile.number, slot, 0, from, to, mode),
		same,
		from,
		to,
	);
}

// ---- whole files and trees ----

function startRead(path, flags, text) {
	const want = text ? 0 : WANT_BYTES;
	return (slot) => call(op.readFile.number, slot, want, path, flags);
}

const errorPath = (path) => (typeof path === 'number' ? undefined : path);

function readFileUtf8(path, flags) {
	return perform(undefined, op.readFile, startRead(path, flags, true), same, errorPath(path));
}

function writeFileUtf8(path, text, flags, mode) {
	const start = (slot) => call(op.writeFile.number, slot, 0, path, text, flags, mode);
	return perform(undefined, op.writeFile, start, same, errorPath(path));
}

// For fs.js: the whole of a file in one request. FINISH(error, string or Buffer). Returns
// what ends it early.
export function readWhole(path, flags, encoding, finish) {
	const text = encoding === 'utf8' || encoding === 'utf-8';
	const convert = text
		? same
		: encoding
			? (bytes) => bufferToString(toBuffer(bytes), encoding)
			: toBuffer;
	const entry = submit(finish, op.readFile, startRead(path, flags, text), convert, errorPath(path));
	return () => cancel(entry);
}

export function readWholeSync(path, flags, encoding) {
	if (encoding === 'utf8' || encoding === 'utf-8') return readFileUtf8(path, flags);
	const start = startRead(path, flags, false);
	const buffer = toBuffer(perform(undefined, op.readFile, start, same, errorPath(path)));
	return encoding ? bufferToString(buffer, encoding) : buffer;
}

export function writeWhole(path, data, flags, mode, finish) {
	const start = (slot) => call(op.writeFile.number, slot, 0, path, data, flags, mode);
	const entry = submit(finish, op.writeFile, start, same, errorPath(path));
	return () => cancel(entry);
}

function rmSync(path, maxRetries, recursive, retryDelay) {
	const start = (slot) =>
		call(op.rm.number, slot, 0, path, recursive ? 1 : 0, maxRetries, retryDelay);
	return perform(undefined, op.rm, start, same, path);
}

// ---- folders that are read entry by entry ----

class DirHandle {
	#entries;
	#next = 0;
	constructor(entries) {
		this.#entries = entries;
	}
	read(encoding, count, request) {
		const convert = nameConverter(encoding ?? 'utf8');
		const text = isText(encoding);
		const batch = [];
		while (this.#next < this.#entries.length && batch.length < count * 2) {
			const name = this.#entries[this.#next];
			batch[batch.length] = text ? bufferToString(toBuffer(name)) : convert(name);
			batch[batch.length] = this.#entries[this.#next + 1];
			this.#next += 2;
		}
		const result = batch.length > 0 ? batch : null;
		if (request === undefined) return result;
		enqueueTick(() => request.oncomplete(null, result), []);
	}
	close(request) {
		this.#entries = [];
		if (request !== undefined) enqueueTick(() => request.oncomplete(null), []);
	}
}

function opendir(path, encoding, request) {
	return perform(
		request,
		op.opendir,
		(slot) => call(op.opendir.number, slot, WANT_BYTES, path),
		(entries) => new DirHandle(entries),
		path,
	);
}

// ---- watching ----

const WATCH_EVENTS = 0;
const WATCH_POLL = 1;
const watchers = [];

class Watcher {
	#number = -1;
	#closed = false;
	onchange = undefined;
	get initialized() {
		return this.#number >= 0;
	}
	getAsyncId() {
		return 0;
	}
	begin(kind, path, want, interval) {
		if (this.#number >= 0 || this.#closed) return 0;
		const number = native.fsWatch(kind, path, want, interval);
		if (number < 0) return number;
		this.#number = number;
		watchers[number] = this;
		return 0;
	}
	close() {
		this.#closed = true;
		if (this.#number < 0) return;
		native.fsUnwatch(this.#number);
		watchers[this.#number] = undefined;
		this.#number = -1;
	}
	ref() {
		native.fsWatchRef(this.#number, true);
	}
	unref() {
		native.fsWatchRef(this.#number, false);
	}
	hasRef() {
		return this.#number >= 0;
	}
}

class FSEvent extends Watcher {
	#convert = same;
	start(path, persistent, recursive, encoding) {
		const text = isText(encoding);
		this.#convert = nameConverter(encoding);
		const result = this.begin(WATCH_EVENTS, path, text ? 0 : WANT_BYTES, 0);
		if (result === 0 && !persistent) this.unref();
		return result;
	}
	event(status, type, name) {
		this.onchange(status, status < 0 ? '' : type, name === null ? null : this.#convert(name));
	}
}

class StatWatcher extends Watcher {
	#bigint;
	#refed = true;
	constructor(bigint) {
		super();
		this.#bigint = bigint;
	}
	start(path, interval) {
		const result = this.begin(WATCH_POLL, path, this.#bigint ? WANT_BIGINT : 0, interval);
		if (!this.#refed) super.unref();
		return result;
	}
	// Before it has begun, too.
	ref() {
		this.#refed = true;
		super.ref();
	}
	unref() {
		this.#refed = false;
		super.unref();
	}
	event(status) {
		const view = this.#bigint ? bigFrame : frame;
		this.onchange(status, TypedArrayPrototypeSlice(view, 0, FIELDS * 2));
	}
}

hooks.fsWatchEvent = (number, status, type, name) => watchers[number]?.event(status, type, name);

// ---- all of it ----

const binding = {
	__proto__: null,
	FSReqCallback,
	FileHandle,
	StatWatcher,
	kUsePromises,
	kFsStatsFieldsNumber: FIELDS,
	statValues: frame,
	bigintStatValues: bigFrame,
	access: onPathAndNumber(op.access),
	chmod: onPathAndNumber(op.chmod),
	chown: onPathAndTwo(op.chown),
	close,
	copyFile,
	existsSync,
	fchmod: (fd, mode, request) =>
		perform(request, op.fchmod, (slot) => call(op.fchmod.number, slot, 0, fd, mode), same),
	fchown: onFdAndTwo(op.fchown),
	fdatasync: onFd(op.fdatasync),
	fstat,
	fsync: onFd(op.fsync),
	ftruncate: (fd, length, request) =>
		perform(request, op.ftruncate, (slot) => call(op.ftruncate.number, slot, 0, fd, length), same),
	futimes: onFdAndTwo(op.futime),
	internalModuleStat,
	lchown: onPathAndTwo(op.lchown),
	link: twoPaths(op.link),
	lstat,
	lutimes: onPathAndTwo(op.lutime),
	mkdir,
	mkdtemp,
	open,
	openFileHandle,
	read: transfer(op.read),
	readBuffers: transferAll(op.readv),
	readFileUtf8,
	readdir,
	readlink: named(op.readlink),
	realpath: named(op.realpath),
	rename: twoPaths(op.rename),
	rmSync,
	rmdir: onPath(op.rmdir),
	stat,
	statfs,
	symlink,
	unlink: onPath(op.unlink),
	utimes: onPathAndTwo(op.utime),
	writeBuffer: transfer(op.write),
	writeBuffers: transferAll(op.writev),
	writeFileUtf8,
	writeString,
};

export { binding as fsBinding };
registerBinding('fs', binding);
registerLazy('internal/fs/dir', () => require('internal/fs/dir'));
registerBinding('fs_dir', { opendir, opendirSync: (path) => opendir(path) });
registerBinding('fs_event_wrap', { FSEvent });
