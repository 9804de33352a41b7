// node:worker_threads: Node's own Worker (upstream/internal/worker.js) over threads of this
// process (isolate/thread.c), and what runs first in each of them.

import {
	ArrayPrototypeForEach,
	ErrorCaptureStackTrace,
	EvalError,
	Float64Array,
	ObjectAssign,
	ObjectDefineProperty,
	PromisePrototypeThen,
	ReflectApply,
	SafeMap,
} from '../primordials.js';
import { setConsoleOutput } from '../console.js';
import { hooks } from '../hooks.js';
import { makePort, MessageChannel, receiveMessageOnPort, takeHandle } from '../messaging/port.js';
import { uncloneable } from '../messaging/serialize.js';
import { native } from '../native.js';
import { reportException } from '../uncaught.js';
import { process } from '../process.js';
import { untransferable } from '../untransferable.js';
import { registerBinding } from './binding.js';
import { codes, systemError } from './errors.js';
import { provideText, runPath, startModules } from './modules.js';
import { builtinModule, registerBuiltin } from './registry.js';
import { pathToFileURL } from './own/internal/url.js';
import { serializeError } from './own/internal/error_serdes.js';
import {
	BroadcastChannel,
	createWorkerStdio,
	kStdioWantsMoreDataCallback,
	MessagePort,
	messageTypes,
	moveMessagePortToContext,
} from './own/internal/worker/io.js';
import { postMessageToThread } from './own/internal/worker/messaging.js';

// ---- internalBinding('worker') ----

const workers = new SafeMap(); // number -> WorkerImpl, until the thread has ended

const kMaxYoungGenerationSizeMb = 0;
const kMaxOldGenerationSizeMb = 1;
const kCodeRangeSizeMb = 2;
const kStackSizeMb = 3;

function disallowed() {
	const error = new EvalError(
		'Code generation from strings disallowed for this context: "eval": true among the policy\'s permissions would allow it',
	);
	ErrorCaptureStackTrace(error, WorkerImpl);
	return error;
}

class WorkerImpl {
	constructor(url, env, execArgv, limits, trackUnmanagedFds, isInternal, name) {
		// Without a URL the program is a string.
		if (url === null && !native.threadMayEval()) throw disallowed();
		if (env === undefined) throw new codes.ERR_METHOD_NOT_IMPLEMENTED('worker_threads.SHARE_ENV');
		this.threadId = native.threadNumber();
		this.threadName = name;
		this.limits = [
			limits[kMaxOldGenerationSizeMb],
			limits[kMaxYoungGenerationSizeMb],
			limits[kCodeRangeSizeMb],
			limits[kStackSizeMb],
		];
		this.onexit = null;
		const { port1, port2 } = new MessageChannel();
		this.messagePort = port1;
		this.threadPort = port2;
		port1.postMessage({ env: { ...(env ?? process.env) }, execArgv: execArgv ?? process.execArgv });
	}
	startThread() {
		const { threadId, threadName, threadPort } = this;
		const result = native.threadStart(threadId, threadName, takeHandle(threadPort), this.limits);
		if (result < 0) throw new codes.ERR_WORKER_INIT_FAILED(systemError(result, 'pthread_create').code);
		workers.set(threadId, this);
	}
	stopThread() {
		native.threadStop(this.threadId);
	}
	ref() {
		native.threadRef(this.threadId, true);
	}
	unref() {
		native.threadRef(this.threadId, false);
	}
	getResourceLimits() {
		return toLimitsArray(native.threadInfo(this.threadId)?.[0] ?? this.limits);
	}
	loopStartTime() {
		return native.threadInfo(this.threadId)?.[1] ?? -1;
	}
	loopIdleTime() {
		return native.threadInfo(this.threadId)?.[2] ?? 0;
	}
	cpuUsage() {
		const taker = { ondone: undefined };
		const spent = native.threadInfo(this.threadId)?.[3];
		if (spent === undefined) return undefined;
		// The system's part cannot be told from outside of a thread.
		process.nextTick(() => taker.ondone(null, { user: spent * 1000, system: 0 }));
		return taker;
	}
	takeHeapSnapshot() {}
	getHeapStatistics() {}
	startCpuProfile() {}
	stopCpuProfile() {}
	startHeapProfile() {}
	stopHeapProfile() {}
}

function toLimitsArray(list) {
	const limits = new Float64Array(4);
	limits[kMaxOldGenerationSizeMb] = list[0];
	limits[kMaxYoungGenerationSizeMb] = list[1];
	limits[kCodeRangeSizeMb] = list[2];
	limits[kStackSizeMb] = list[3];
	return limits;
}

hooks.threadEnded = (number, code, error, reason) => {
	const worker = workers.get(number);
	workers.delete(number);
	worker?.onexit?.(code, error === '' ? null : error, reason);
};

registerBinding('worker', {
	Worker: WorkerImpl,
	// What differs in a thread is set there: the library is in a snapshot.
	isMainThread: false,
	isInternalThread: false,
	ownsProcessState: false,
	threadId: 0,
	threadName: '',
	resourceLimits: new Float64Array(4),
	kMaxYoungGenerationSizeMb,
	kMaxOldGenerationSizeMb,
	kCodeRangeSizeMb,
	kStackSizeMb,
	kTotalResourceLimitCount: 4,
});

const internal = require('./upstream/internal/worker.js');

// ---- the module ----

function markAsUntransferable(object) {
	if ((typeof object !== 'object' && typeof object !== 'function') || object === null) return;
	object[untransferable] = true;
}

function markAsUncloneable(object) {
	if ((typeof object !== 'object' && typeof object !== 'function') || object === null) return;
	object[uncloneable] = true;
}

function isMarkedAsUntransferable(object) {
	return object !== undefined && object !== null && object[untransferable] === true;
}

const exports = {
	isInternalThread: false,
	isMainThread: true,
	MessagePort,
	MessageChannel,
	markAsUncloneable,
	markAsUntransferable,
	isMarkedAsUntransferable,
	moveMessagePortToContext,
	receiveMessageOnPort,
	resourceLimits: {},
	postMessageToThread,
	threadId: 0,
	threadName: '',
	SHARE_ENV: internal.SHARE_ENV,
	Worker: internal.Worker,
	parentPort: null,
	workerData: null,
	BroadcastChannel,
	setEnvironmentData: internal.setEnvironmentData,
	getEnvironmentData: internal.getEnvironmentData,
};
registerBuiltin('worker_threads', () => exports);

// ---- in a thread ----

let port; // to the parent's Worker

function unsupported(name) {
	const refuse = () => {
		throw new codes.ERR_WORKER_UNSUPPORTED_OPERATION(name);
	};
	refuse.disabled = true;
	return refuse;
}

function becomeThread(number, name, handle, limits) {
	const resourceLimits = toLimitsArray(limits);
	ObjectAssign(exports, {
		isMainThread: false,
		threadId: number,
		threadName: name,
		resourceLimits: {
			maxYoungGenerationSizeMb: resourceLimits[kMaxYoungGenerationSizeMb],
			maxOldGenerationSizeMb: resourceLimits[kMaxOldGenerationSizeMb],
			codeRangeSizeMb: resourceLimits[kCodeRangeSizeMb],
			stackSizeMb: resourceLimits[kStackSizeMb],
		},
	});
	port = makePort(handle);
	const stdio = createWorkerStdio(port);
	const names = ['stdin', 'stdout', 'stderr'];
	for (let i = 0; i < names.length; i++)
		ObjectDefineProperty(process, names[i], {
			__proto__: null,
			get: () => stdio[names[i]],
			enumerable: true,
			configurable: true,
		});
	setConsoleOutput((fd, text) => (fd === 2 ? stdio.stderr : stdio.stdout).write(text));
	process.abort = unsupported('process.abort()');
	process.chdir = unsupported('process.chdir()');
	return stdio;
}

function onExitWhileLoading() {
	process.exitCode ??= 13; // an await at the top level that nothing will settle
}

function importModule(url) {
	process.on('exit', onExitWhileLoading);
	PromisePrototypeThen(
		native.threadImport(url),
		() => process.off('exit', onExitWhileLoading),
		(error) => {
			process.off('exit', onExitWhileLoading);
			reportException(error);
		},
	);
}

function runFile(path) {
	process.argv.splice(1, 0, path);
	const url = runPath(path);
	if (typeof url === 'string') importModule(url);
}

// A script, unless its syntax says that it is a module.
function runText(text) {
	const name = '[worker eval]';
	const path = `${process.cwd()}/${name}`;
	const url = pathToFileURL(path).href;
	process.argv.splice(1, 0, name);
	process._eval = text;
	if (native.moduleDetect(text, path, url)) {
		provideText(url, text);
		importModule(url);
		return;
	}
	const Module = builtinModule('module');
	const module = new Module(name);
	module.filename = path;
	module.paths = Module._nodeModulePaths(process.cwd());
	const require_ = Module.createRequire(path);
	const run = native.moduleCompile(text, name, url, false);
	ReflectApply(run, module.exports, [module.exports, require_, module, name, '.']);
}

function runDataURL(url) {
	const comma = url.indexOf(',');
	const head = url.slice(5, comma);
	const body = url.slice(comma + 1);
	// Nothing else that a data: URL may be is a program.
	if (!/^\s*(?:text|application)\/javascript\s*(?:;|$)/i.test(head))
		throw new codes.ERR_UNKNOWN_MODULE_FORMAT(head, url);
	const isBase64 = /;\s*base64$/i.test(head);
	const decoded = decodeURIComponent(body);
	provideText(url, isBase64 ? Buffer.from(decoded, 'base64').toString() : decoded);
	importModule(url);
}

function load(message) {
	const { argv, doEval, environmentData, filename, hasStdin, publicPort, workerData } = message;
	port.unref();
	if (argv !== undefined) ArrayPrototypeForEach(argv, (item) => process.argv.push(item));
	exports.parentPort = publicPort;
	exports.workerData = workerData;
	internal.assignEnvironmentData(environmentData);
	if (!hasStdin) process.stdin.push(null);
	port.postMessage({ type: messageTypes.UP_AND_RUNNING });
	startModules();
	if (doEval === 'classic') runText(filename);
	else if (doEval === 'data-url') runDataURL(filename);
	else runFile(filename);
}

function onMessage(message, stdio) {
	const { type } = message;
	if (type === messageTypes.LOAD_SCRIPT) {
		load(message);
	} else if (type === messageTypes.STDIO_PAYLOAD) {
		const { chunks, stream } = message;
		ArrayPrototypeForEach(chunks, ({ chunk, encoding }) => stdio[stream].push(chunk, encoding));
	} else {
		stdio[message.stream][kStdioWantsMoreDataCallback]();
	}
}

hooks.threadMain = () => {
	const [number, name, handle, limits] = native.threadSelf();
	const stdio = becomeThread(number, name, handle, limits);
	const { env, execArgv } = receiveMessageOnPort(port).message;
	hooks.startThreadProcess(env, execArgv);
	port.on('message', (message) => onMessage(message, stdio));
};

// Nobody in the thread handled ERROR.
hooks.threadUncaught = (error) => {
	process.exitCode = 1;
	let code = 1;
	try {
		code = hooks.emitExit();
	} catch {
		// It ends anyway.
	}
	try {
		port.postMessage({ type: messageTypes.ERROR_MESSAGE, error: serializeError(error) });
	} catch {
		port.postMessage({ type: messageTypes.COULD_NOT_SERIALIZE_ERROR });
	}
	native.exit(code);
};
