// What process has beside the parts of it that scripts cannot do without (process.js): numbers
// of the system, signals, settings of Node's that have one value here.

import { native } from './native.js';
import bufferModule from './node/upstream/buffer.js';
import { codes, systemError } from './node/errors.js';
import { internalBinding } from './node/binding.js';
import { process } from './node/process_object.js';
import { identity } from './process_identity.js';
import {
	parseFileMode,
	validateBoolean,
	validateObject,
} from './node/validators.js';
import {
	Error,
	MathMax,
	ObjectDefineProperty,
	ObjectFreeze,
	ObjectKeys,
	ReflectApply,
	Set,
	SymbolFor,
} from './primordials.js';
import { setImmediate } from './timers.js';
import { setCapture } from './uncaught.js';
import { nodeError } from './validate.js';

// ---- numbers ----

const usageNames = [
	'userCPUTime',
	'systemCPUTime',
	'maxRSS',
	'sharedMemorySize',
	'unsharedDataSize',
	'unsharedStackSize',
	'minorPageFault',
	'majorPageFault',
	'swappedOut',
	'fsRead',
	'fsWrite',
	'ipcSent',
	'ipcReceived',
	'signalsCount',
	'voluntaryContextSwitches',
	'involuntaryContextSwitches',
];

function resourceUsage() {
	const numbers = native.resourceUsage();
	const usage = {};
	for (let i = 0; i < usageNames.length; i++) usage[usageNames[i]] = numbers[i];
	return usage;
}

function availableMemory() {
	const [limit] = native.limits();
	return MathMax(0, limit - native.memoryUsage()[0]);
}

function checkUsage(previous, name) {
	const value = previous[name];
	if (typeof value !== 'number')
		throw new codes.ERR_INVALID_ARG_TYPE(`prevValue.${name}`, 'number', value);
	if (!(value >= 0 && value <= Number.MAX_SAFE_INTEGER))
		throw new codes.ERR_INVALID_ARG_VALUE.RangeError(`prevValue.${name}`, value);
}

function cpuUsage(previous) {
	const [user, system] = native.cpuUsage();
	if (!previous) return { user, system };
	validateObject(previous, 'prevValue');
	checkUsage(previous, 'user');
	checkUsage(previous, 'system');
	return { user: user - previous.user, system: system - previous.system };
}

// ---- signals ----

const { signals } = internalBinding('constants').os;

// What the kernel does for a signal that nobody handles; the rest ends the process.
const ignored = { __proto__: null, SIGCHLD: true, SIGCONT: true, SIGURG: true, SIGWINCH: true };

function signalName(signal) {
	const names = ObjectKeys(signals);
	for (let i = 0; i < names.length; i++) {
		if (names[i] === signal || signals[names[i]] === signal) return names[i];
	}
	return undefined;
}

// To itself: the kernel would drop a signal that the first process of its namespace does
// not handle, and the program's listeners are not the kernel's business.
function signalSelf(name) {
	const number = signals[name];
	if (process.listenerCount(name) > 0 && name !== 'SIGKILL' && name !== 'SIGSTOP') {
		setImmediate(() => process.emit(name, name, number));
		return;
	}
	if (ignored[name] !== true) native.exit(128 + number);
}

function kill(pid, signal = 'SIGTERM') {
	if (pid != (pid | 0)) throw new codes.ERR_INVALID_ARG_TYPE('pid', 'number', pid);
	const exists = typeof signal === 'number' && signal === (signal | 0) && signal === 0;
	const name = exists ? undefined : signalName(signal);
	if (!exists && name === undefined) {
		if (typeof signal !== 'number') throw new codes.ERR_UNKNOWN_SIGNAL(signal);
		throw systemFailure('EINVAL', 'kill');
	}
	const target = pid | 0;
	if (target !== process.pid && target !== 0 && target !== -process.pid)
		throw systemFailure('ESRCH', 'kill');
	if (!exists) signalSelf(name);
	return true;
}

// Node's ErrnoException: "kill ESRCH".
function systemFailure(code, syscall) {
	const error = new Error(`${syscall} ${code}`);
	const { errno } = systemError(code, syscall);
	error.errno = errno;
	error.code = code;
	error.syscall = syscall;
	return error;
}

// ---- uncaught exceptions ----

let capture = null;

function setUncaughtExceptionCaptureCallback(fn) {
	if (fn === null) {
		capture = null;
		setCapture(undefined);
		return;
	}
	if (typeof fn !== 'function') throw new codes.ERR_INVALID_ARG_TYPE('fn', ['Function', 'null'], fn);
	if (capture !== null) throw new codes.ERR_UNCAUGHT_EXCEPTION_CAPTURE_ALREADY_SET();
	capture = fn;
	setCapture(fn);
}

// ---- files ----

let mask = 0o77; // as the sandbox sets it

function umask(value) {
	if (value === undefined) return mask;
	const before = mask;
	mask = parseFileMode(value, 'mask') & 0o777;
	native.umask(mask);
	return before;
}

function loadEnvFile(path = '.env') {
	const { readFileSync } = require('fs');
	const { parseEnv } = require('util');
	const { isURL } = require('internal/url');
	if (typeof path !== 'string' && !bufferModule.Buffer.isBuffer(path) && !isURL(path))
		throw new codes.ERR_INVALID_ARG_TYPE('path', ['string', 'Buffer', 'URL'], path);
	const values = parseEnv(readFileSync(path, 'utf8'));
	const names = ObjectKeys(values);
	for (let i = 0; i < names.length; i++)
		if (process.env[names[i]] === undefined) process.env[names[i]] = values[names[i]];
}

// ---- what keeps it alive ----

function callOn(object, symbol, name) {
	const method = object?.[SymbolFor(symbol)] ?? object?.[name];
	if (typeof method === 'function') ReflectApply(method, object, []);
}

// ---- no such thing here ----

function dlopen() {
	throw nodeError(
		Error,
		'ERR_DLOPEN_DISABLED',
		'Cannot load native addon because loading addons is disabled.',
	);
}

// There are no options for the environment to give.
class NodeEnvironmentFlagsSet extends Set {
	add() {
		return this;
	}
	delete() {
		return false;
	}
	clear() {}
}
const flags = ObjectFreeze(new NodeEnvironmentFlagsSet());

let sourceMaps = true;

const members = {
	abort() {
		native.exit(134);
	},
	allowedNodeEnvironmentFlags: flags,
	availableMemory,
	cpuUsage,
	debugPort: 9229,
	dlopen,
	features: ObjectFreeze({
		inspector: false,
		debug: false,
		uv: true,
		ipv6: true,
		tls_alpn: true,
		tls_sni: true,
		tls_ocsp: true,
		tls: true,
		openssl_is_boringssl: false,
		cached_builtins: true,
		require_module: true,
		quic: false,
		typescript: 'transform',
	}),
	getActiveResourcesInfo: () => native.activeResources(),
	getgroups: () => [native.limits()[1]],
	hasUncaughtExceptionCaptureCallback: () => capture !== null,
	kill,
	loadEnvFile,
	reallyExit(code) {
		native.exit(code | 0);
	},
	ref(object) {
		callOn(object, 'nodejs.ref', 'ref');
	},
	resourceUsage,
	setSourceMapsEnabled(enabled) {
		validateBoolean(enabled, 'enabled');
		sourceMaps = enabled;
	},
	setUncaughtExceptionCaptureCallback,
	...identity,
	umask,
	unref(object) {
		callOn(object, 'nodejs.unref', 'unref');
	},
};
const names = ObjectKeys(members);
for (let i = 0; i < names.length; i++) {
	process[names[i]] = members[names[i]];
	if (typeof members[names[i]] === 'function')
		ObjectDefineProperty(members[names[i]], 'name', { __proto__: null, value: names[i] });
}
ObjectDefineProperty(process, 'sourceMapsEnabled', {
	__proto__: null,
	get: () => sourceMaps,
	enumerable: true,
	configurable: true,
});
