// ChildProcess and what goes with it, as upstream/child_process.js uses them. A program is
// started by the supervisor (isolate/native_child.c): what the policy does not grant is
// refused there; here it gets its error.

import EventEmitter from 'events';
import { native } from '../../../native.js';
import { hooks } from '../../../hooks.js';
import { accessDenied } from '../../../permission.js';
import { codes, errorNumber, ErrnoException } from '../../errors.js';
import { internalBinding } from '../../binding.js';
import { keepContext } from '../../net/handle.js';
import { Socket } from '../../net/socket.js';
import { process } from '../../process_object.js';
import { currentContext, enterContext } from '../../../async_context.js';
import { Buffer } from '../../buffer.js';
import path from 'path';
import { convertToValidSignal } from 'internal/util';
import { isArrayBufferView } from 'internal/util/types';
import { validateArray, validateObject, validateString } from 'internal/validators';

const { childHold, childRun, childSignal, childSpawn, permissionHas } = native;

// enum child_stdio of common/protocol.h.
const IGNORE = 0;
const PIPE = 1;
const INHERIT = 2;

// sandbox/job.h has the same.
const DEFAULT_PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

const running = new Map(); // number -> handle, until it has ended

const signalNames = { __proto__: null };
const { signals } = internalBinding('constants').os;
for (const name of Object.keys(signals)) signalNames[signals[name]] ??= name;

// ---- which program ----

function environmentPath(pairs) {
	for (const pair of pairs ?? []) if (pair.startsWith('PATH=')) return pair.slice(5);
	return DEFAULT_PATH;
}

// The paths that FILE may mean, best first: those that are granted. What is not there
// fails with ENOENT when it is tried.
function candidates(file, folder, pairs) {
	if (file.includes('/')) return [path.resolve(folder, file)];
	const found = [];
	for (const entry of environmentPath(pairs).split(':'))
		found.push(path.resolve(folder, entry, file));
	return found;
}

// Calls START with each path until one is there. Throws what Node's permission model does
// when none of them is granted.
function tryEach(file, folder, pairs, start) {
	const granted = candidates(file, folder, pairs).filter((name) => permissionHas('child', name));
	if (granted.length === 0)
		throw accessDenied('ChildProcess', file, `"child": { "exec": [${JSON.stringify(candidates(file, folder, pairs)[0])}] }`);
	let result = errorNumber('ENOENT');
	for (const name of granted) {
		result = start(name);
		if (result !== errorNumber('ENOENT')) break;
	}
	return result;
}

function folderOf(cwd) {
	return cwd ? path.resolve(cwd) : process.cwd();
}

// A program has one user, and cannot make it another.
function ownUser(options) {
	const uid = process.getuid?.() ?? options.uid;
	const gid = process.getgid?.() ?? options.gid;
	return (options.uid ?? uid) === uid && (options.gid ?? gid) === gid;
}

// ---- stdio ----

export function stdioStringToArray(stdio, channel) {
	if (stdio !== 'ignore' && stdio !== 'overlapped' && stdio !== 'pipe' && stdio !== 'inherit')
		throw new codes.ERR_INVALID_ARG_VALUE('stdio', stdio);
	const list = stdio === 'inherit' ? [0, 1, 2] : [stdio, stdio, stdio];
	if (channel) list.push(channel);
	return list;
}

function validOne(stdio, index, sync) {
	stdio ??= index < 3 ? 'pipe' : 'ignore';
	if (stdio === 'ignore') return { type: 'ignore' };
	if (index < 3) {
		if (stdio === 'pipe' || stdio === 'overlapped' || (typeof stdio === 'number' && stdio < 0))
			return { type: 'pipe', readable: index === 0, writable: index !== 0 };
		const fd = stdio === 'inherit' ? index : (stdio?.fd ?? stdio);
		if (fd === index) return { type: 'inherit', fd };
	}
	if (sync && (isArrayBufferView(stdio) || typeof stdio === 'string')) return { type: 'pipe' };
	throw new codes.ERR_INVALID_ARG_VALUE(
		`stdio[${index}]`,
		stdio,
		"must be 'pipe', 'ignore' or the program's own stream of the same number: " +
			'no other descriptor can be passed to a child process',
	);
}

export function getValidStdio(stdio, sync) {
	if (typeof stdio === 'string') stdio = stdioStringToArray(stdio);
	else if (!Array.isArray(stdio)) throw new codes.ERR_INVALID_ARG_VALUE('stdio', stdio);
	stdio = [...stdio];
	while (stdio.length < 3) stdio.push(undefined);
	return { stdio: stdio.map((one, index) => validOne(one, index, sync)), ipc: undefined, ipcFd: undefined };
}

const kinds = { __proto__: null, ignore: IGNORE, pipe: PIPE, inherit: INHERIT };
const numbersOf = (stdio) => stdio.slice(0, 3).map((one) => kinds[one.type]);

// ---- a program that runs ----

// What Node's C++ part calls a Process.
class Process {
	pid = undefined;
	onexit = undefined;
	#number = 0;
	#context = undefined;

	// 0 with STREAMS filled, or a negative errno.
	spawn(options, streams) {
		if (!ownUser(options)) return errorNumber('EPERM');
		const folder = folderOf(options.cwd);
		this.#context = currentContext();
		const result = tryEach(options.file, folder, options.envPairs, (name) =>
			childSpawn(name, folder, options.args ?? [options.file], options.envPairs ?? [], numbersOf(options.stdio), 0),
		);
		if (typeof result === 'number') return result;
		[this.#number, this.pid] = result;
		running.set(this.#number, this);
		for (let i = 0; i < 3; i++) streams.push(result[i + 2]);
		return 0;
	}

	exited(code, signal) {
		enterContext(this.#context);
		this.onexit?.(code < 0 ? 0 : code, signal === 0 ? '' : (signalNames[signal] ?? `SIG${signal}`));
		enterContext(undefined);
	}

	kill(signal) {
		return running.has(this.#number) ? childSignal(this.#number, signal) : errorNumber('ESRCH');
	}

	ref() {
		childHold(this.#number, true);
	}

	unref() {
		childHold(this.#number, false);
	}

	hasRef() {
		return running.has(this.#number);
	}

	close() {
		running.delete(this.#number);
	}
}

hooks.childExited = (number, code, signal) => {
	const handle = running.get(number);
	running.delete(number);
	handle?.exited(code, signal);
};

function spawnError(child, number) {
	const syscall = child.spawnfile ? `spawn ${child.spawnfile}` : 'spawn';
	const error = new ErrnoException(number, syscall);
	if (child.spawnfile) error.path = child.spawnfile;
	error.spawnargs = child.spawnargs.slice(1);
	return error;
}

// What nobody has touched is read to its end, so that 'close' comes.
function flushStdio(child) {
	for (const stream of child.stdio ?? []) if (stream?.readable) stream.resume();
}

function maybeClose(child) {
	child._closesGot++;
	if (child._closesGot === child._closesNeeded) child.emit('close', child.exitCode, child.signalCode);
}

function onExit(child, code, signal) {
	if (signal) child.signalCode = signal;
	else child.exitCode = code;
	child.stdin?.destroy();
	child._handle.close();
	child._handle = null;
	if (code < 0) child.emit('error', spawnError(child, code));
	else child.emit('exit', child.exitCode, child.signalCode);
	process.nextTick(flushStdio, child);
	maybeClose(child);
}

export function ChildProcess() {
	EventEmitter.call(this);
	this._closesNeeded = 1;
	this._closesGot = 0;
	this.connected = false;
	this.signalCode = null;
	this.exitCode = null;
	this.killed = false;
	this.spawnfile = null;
	this._handle = new Process();
	this._handle.onexit = (code, signal) => onExit(this, code, signal);
}
Object.setPrototypeOf(ChildProcess.prototype, EventEmitter.prototype);
Object.setPrototypeOf(ChildProcess, EventEmitter);

// Errors that come as an event; others are thrown.
const emitted = new Set(['EACCES', 'EAGAIN', 'EMFILE', 'ENFILE', 'ENOENT'].map(errorNumber));

// In the way of libuv's pipes, which are not there when the program is not.
function makeStream(handle, index) {
	if (handle) keepContext(handle);
	const socket = new Socket({ handle: handle ?? undefined, readable: index > 0, writable: index === 0 });
	if (!handle) socket.destroy();
	return socket;
}

function attachStreams(child, stdio, streams) {
	child.stdio = stdio.map((one, index) => {
		if (one.type !== 'pipe') return null;
		const socket = makeStream(streams[index], index);
		if (index > 0 && streams[index]) {
			child._closesNeeded++;
			socket.on('close', () => maybeClose(child));
		}
		return socket;
	});
	[child.stdin, child.stdout, child.stderr] = child.stdio;
}

ChildProcess.prototype.spawn = function spawn(options) {
	validateObject(options, 'options');
	const { stdio } = getValidStdio(options.stdio || 'pipe', false);
	options.stdio = stdio;
	if (options.envPairs !== undefined) validateArray(options.envPairs, 'options.envPairs');
	validateString(options.file, 'options.file');
	this.spawnfile = options.file;
	if (options.args !== undefined) validateArray(options.args, 'options.args');
	this.spawnargs = options.args ?? [];
	const streams = [];
	const result = this._handle.spawn(options, streams);
	if (result !== 0 && !emitted.has(result)) {
		this._handle.close();
		this._handle = null;
		throw new ErrnoException(result, 'spawn');
	}
	this.pid = this._handle.pid;
	if (result === 0) process.nextTick((child) => child.emit('spawn'), this);
	else process.nextTick((child) => child._handle.onexit(result), this);
	attachStreams(this, stdio, streams);
	return result;
};

ChildProcess.prototype.kill = function kill(signal) {
	const number = signal === 0 ? 0 : convertToValidSignal(signal ?? 'SIGTERM');
	if (!this._handle) return false;
	const result = this._handle.kill(number);
	if (result === 0) {
		this.killed = true;
		return true;
	}
	if (result !== errorNumber('ESRCH')) this.emit('error', new ErrnoException(result, 'kill'));
	return false;
};

ChildProcess.prototype[Symbol.dispose] = function () {
	if (!this.killed) this.kill();
};

ChildProcess.prototype.ref = function ref() {
	this._handle?.ref();
};

ChildProcess.prototype.unref = function unref() {
	this._handle?.unref();
};

// Only fork() has one.
export function setupChannel() {
	throw new codes.ERR_METHOD_NOT_IMPLEMENTED('child_process.fork()');
}

// ---- one to its end ----

function runToEnd(options) {
	if (!ownUser(options)) return errorNumber('EPERM');
	const folder = folderOf(options.cwd);
	const input = options.stdio[0]?.input;
	const most = options.maxBuffer === undefined ? Infinity : options.maxBuffer;
	return tryEach(options.file, folder, options.envPairs, (name) =>
		childRun(
			name,
			folder,
			options.args,
			options.envPairs ?? [],
			numbersOf(options.stdio),
			0,
			input,
			options.timeout ?? 0,
			most === Infinity ? -1 : most,
			options.killSignal ?? signals.SIGTERM,
		),
	);
}

export function spawnSync(options) {
	const result = runToEnd(options);
	const failed = typeof result === 'number' ? result : result[0];
	const outcome = { pid: 0, output: null, signal: null, status: null, stdout: null, stderr: null };
	if (typeof result !== 'number') {
		const [, pid, status, signal, out, err] = result;
		outcome.pid = pid;
		outcome.status = signal ? null : status;
		outcome.signal = signal ? (signalNames[signal] ?? null) : null;
		outcome.output = [null, out, err].map((bytes) => {
			if (bytes === null) return null;
			const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
			const { encoding } = options;
			return encoding && encoding !== 'buffer' ? buffer.toString(encoding) : buffer;
		});
		[, outcome.stdout, outcome.stderr] = outcome.output;
	}
	if (failed) {
		outcome.error = new ErrnoException(failed, `spawnSync ${options.file}`);
		outcome.error.path = options.file;
		outcome.error.spawnargs = options.args.slice(1);
	}
	return outcome;
}

export default { ChildProcess, getValidStdio, setupChannel, spawnSync, stdioStringToArray };
